/*
 * The functions behind SwiftServer's processes: bus, workers, tasks, executor jobs, certificates and process
 * management.
 *
 * They may change in any release, and an installed CReactor does not have these headers.
 */
#ifndef CREACTOR_INTERNAL_H
#define CREACTOR_INTERNAL_H

#include "bus.h"
#include "certificate.h"
#include "gateway.h"
#include "jobs.h"
#include "process.h"
#include "task.h"
#include "worker.h"

#endif
