/*
 * For programs that have a libuv loop of their own. This header, unlike all others, includes uv.h; creactor.h
 * does not include it.
 */
#ifndef CREACTOR_UV_H
#define CREACTOR_UV_H

#include <uv.h>

#include "export.h"
#include "loop.h"

CRE_BEGIN_DECLS

/**
 * Makes a cre_loop on a host's libuv loop, which the host goes on running by itself (cre_loop_run runs it as
 * well). What is made on it (engines, timers, watches) works as on any other. It keeps the host's loop alive
 * only by open listeners, connections, timers and watches. Returns 0 or an error.
 *
 * cre_loop_destroy takes it off again: destroy what was made on it first, call it on the loop's thread, and
 * let the host's loop run once more (uv_run until it returns 0, before uv_loop_close): that frees the memory.
 */
CRE_API int cre_loop_adopt(uv_loop_t *host, cre_loop **loop);

CRE_END_DECLS

#endif
