#define _GNU_SOURCE
#include "CExecutorHook.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct executor {
    uintptr_t identity, implementation;
} executor;

#define SWIFT __attribute__((swiftcall))

typedef SWIFT executor (*get_main_executor)(void);
typedef SWIFT bool (*is_main_executor)(executor);
typedef SWIFT executor (*get_hook)(get_main_executor original);
typedef SWIFT bool (*is_hook)(executor executor, is_main_executor original);

extern __attribute__((weak)) get_hook swift_task_getMainExecutor_hook;
extern __attribute__((weak)) is_hook swift_task_isMainExecutor_hook;
extern __attribute__((weak)) SWIFT void *swift_task_getCurrent(void);
extern __attribute__((weak)) SWIFT bool swift_task_isCancelled(void *task);
extern __attribute__((weak)) int _dispatch_get_main_queue_handle_4CF(void);
extern __attribute__((weak)) void _dispatch_main_queue_callback_4CF(void *message);

static executor installed;
/* The hooks that were there before; set while ours are. */
static get_hook previous_get;
static is_hook previous_is;
static bool is_there;

static SWIFT executor get_installed(get_main_executor original) {
    (void)original;
    return installed;
}

static SWIFT bool is_installed(executor candidate, is_main_executor original) {
    return candidate.identity == installed.identity || original(candidate);
}

bool ceh_install_main_executor(uintptr_t identity, uintptr_t implementation) {
    if (!&swift_task_getMainExecutor_hook) return false;
    installed = (executor){ identity, implementation };
    if (is_there) return true;
    is_there = true;
    previous_get = swift_task_getMainExecutor_hook;
    if (&swift_task_isMainExecutor_hook) {
        previous_is = swift_task_isMainExecutor_hook;
        __atomic_store_n(&swift_task_isMainExecutor_hook, is_installed, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&swift_task_getMainExecutor_hook, get_installed, __ATOMIC_RELEASE);
    return true;
}

void ceh_restore_main_executor(void) {
    if (!is_there) return;
    is_there = false;
    /* `installed` stays: another thread may be in the middle of get_installed. */
    __atomic_store_n(&swift_task_getMainExecutor_hook, previous_get, __ATOMIC_RELEASE);
    if (&swift_task_isMainExecutor_hook)
        __atomic_store_n(&swift_task_isMainExecutor_hook, previous_is, __ATOMIC_RELEASE);
}

uintptr_t ceh_current_task(void) {
    return swift_task_getCurrent && swift_task_isCancelled ? (uintptr_t)swift_task_getCurrent() : 0;
}

bool ceh_is_cancelled(uintptr_t task) {
    return swift_task_isCancelled((void *)task);
}

int ceh_main_queue_descriptor(void) {
    static pid_t owner;
    if (!_dispatch_get_main_queue_handle_4CF) return -1;
    int descriptor = _dispatch_get_main_queue_handle_4CF();
    if (descriptor < 0 || owner == getpid()) return descriptor < 0 ? -1 : descriptor;
    /* A parent may have made it: then it is shared with other processes, or was closed. libdispatch keeps the
     * number, so whatever has that number is replaced. */
    int own = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (own < 0) return -1;
    bool replaced = own == descriptor || dup3(own, descriptor, O_CLOEXEC) == descriptor;
    if (own != descriptor) close(own);
    if (!replaced) return -1;
    owner = getpid();
    return descriptor;
}

void ceh_main_queue_run(int descriptor) {
    uint64_t count;
    ssize_t got = read(descriptor, &count, sizeof count); /* or it stays readable for ever */
    (void)got;
    if (_dispatch_main_queue_callback_4CF) _dispatch_main_queue_callback_4CF(NULL);
}

void ceh_main_queue_run_pending(void) {
    if (gettid() != getpid()) return;
    int descriptor = ceh_main_queue_descriptor();
    if (descriptor >= 0) ceh_main_queue_run(descriptor);
}
