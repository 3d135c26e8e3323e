/* Payloads of commands in parts. */
#ifndef CRE_ENGINE_SLICES_H
#define CRE_ENGINE_SLICES_H

#include "core/slices.h"

#define CRE__MAX_PARTS 4

#endif
