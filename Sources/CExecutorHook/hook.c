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

extern __attribute__((weak)) SWIFT executor (*swift_task_getMainExecutor_hook)(get_main_executor original);
extern __attribute__((weak)) SWIFT bool (*swift_task_isMainExecutor_hook)(executor executor,
                                                                          is_main_executor original);
extern __attribute__((weak)) int _dispatch_get_main_queue_handle_4CF(void);
extern __attribute__((weak)) void _dispatch_main_queue_callback_4CF(void *message);

static executor installed;

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
    if (&swift_task_isMainExecutor_hook) swift_task_isMainExecutor_hook = is_installed;
    swift_task_getMainExecutor_hook = get_installed;
    return true;
}

int ceh_main_queue_descriptor(void) {
    if (!_dispatch_get_main_queue_handle_4CF) return -1;
    int descriptor = _dispatch_get_main_queue_handle_4CF();
    if (descriptor < 0) return -1;
    /* A parent may have made it: then it is shared with other processes, or was closed. libdispatch keeps the
     * number, so what is there is replaced. */
    int own = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (own < 0) return -1;
    bool replaced = own == descriptor || dup3(own, descriptor, O_CLOEXEC) == descriptor;
    if (own != descriptor) close(own);
    return replaced ? descriptor : -1;
}

void ceh_main_queue_run(int descriptor) {
    uint64_t count;
    ssize_t got = read(descriptor, &count, sizeof count); /* or it stays readable for ever */
    (void)got;
    if (_dispatch_main_queue_callback_4CF) _dispatch_main_queue_callback_4CF(NULL);
}
