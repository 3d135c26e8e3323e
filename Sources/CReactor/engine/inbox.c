/* Connected sockets from other threads. */
#include <creactor/error.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/conn.h"

typedef struct handed_over {
    struct handed_over *next;
    int descriptor;
    uint16_t port;
} handed_over;

/* Not a part of the engine, because a handle lives until its loop has closed it. */
struct cre__inbox {
    uv_async_t wake;
    cre_engine *engine;
    _Atomic(handed_over *) items; /* a stack */
};

static void on_handed_over(uv_async_t *handle) {
    struct cre__inbox *inbox = handle->data;
    cre__loop_begin(inbox->engine->loop);
    handed_over *stack = atomic_exchange_explicit(&inbox->items, NULL, memory_order_acquire), *queue = NULL;
    while (stack) { /* first in, first out */
        handed_over *next = stack->next;
        stack->next = queue;
        queue = stack;
        stack = next;
    }
    while (queue) {
        handed_over *next = queue->next;
        cre__conn_open(inbox->engine, queue->descriptor, queue->port);
        cre__free(queue);
        queue = next;
    }
}

int cre__inbox_open(cre_engine *engine) {
    struct cre__inbox *inbox = cre__calloc(1, sizeof *inbox);
    if (!inbox) return CRE_ENOMEM;
    inbox->engine = engine;
    inbox->wake.data = inbox;
    int result = uv_async_init(cre__loop_uv(engine->loop), &inbox->wake, on_handed_over);
    if (result)
        cre__free(inbox);
    else
        engine->inbox = inbox;
    return result;
}

static void free_inbox(uv_handle_t *handle) {
    cre__free(handle->data);
}

void cre__inbox_close(cre_engine *engine) {
    struct cre__inbox *inbox = engine->inbox;
    if (!inbox) return;
    handed_over *item = atomic_exchange_explicit(&inbox->items, NULL, memory_order_acquire);
    while (item) { /* handed over, but not opened yet */
        handed_over *next = item->next;
        close(item->descriptor);
        cre__free(item);
        item = next;
    }
    cre__loop_close(engine->loop, (uv_handle_t *)&inbox->wake, free_inbox);
    engine->inbox = NULL;
}

int cre_engine_hand_over(cre_engine *engine, int descriptor, uint16_t port) {
    handed_over *item = port < CRE_MAX_PORTS ? cre__malloc(sizeof *item) : NULL;
    if (!item) {
        close(descriptor);
        return port < CRE_MAX_PORTS ? CRE_ENOMEM : CRE_EINVALID;
    }
    struct cre__inbox *inbox = engine->inbox;
    *item = (handed_over){ atomic_load_explicit(&inbox->items, memory_order_relaxed), descriptor, port };
    while (!atomic_compare_exchange_weak_explicit(&inbox->items, &item->next, item, memory_order_release,
                                                  memory_order_relaxed)) {
    }
    uv_async_send(&inbox->wake);
    return 0;
}

int cre_engine_adopt(cre_engine *engine, int descriptor, uint16_t port) {
    if (port >= CRE_MAX_PORTS) {
        close(descriptor);
        return CRE_EINVALID;
    }
    return cre__conn_open(engine, descriptor, port);
}
