/*
 * For programs that run their own libuv loop. This header alone includes uv.h; creactor.h does not include
 * it.
 */
#ifndef CREACTOR_UV_H
#define CREACTOR_UV_H

#include <uv.h>

#include "export.h"
#include "loop.h"

CRE_BEGIN_DECLS

/**
 * Creates a cre_loop on a libuv loop of the program, which continues to run it (cre_loop_run runs it, too).
 * Engines, timers and watches on it work as on any other loop. Only open listeners, connections, timers and
 * watches keep the libuv loop alive. Returns 0 and *loop, or CRE_ENOMEM or a system error. On the thread of
 * the libuv loop.
 *
 * cre_loop_destroy detaches it, on the same thread, after everything created on it was destroyed. The libuv
 * loop must then run once more to free the memory: uv_run until it returns 0, before uv_loop_close.
 */
CRE_NODISCARD CRE_API int cre_loop_adopt(uv_loop_t *uv, cre_loop **loop);

CRE_END_DECLS

#endif
