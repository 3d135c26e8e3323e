/* Everything in one include. */
#ifndef CREACTOR_H
#define CREACTOR_H

#include "alloc.h"
#include "error.h"
#include "export.h"
#include "version.h"

#endif
