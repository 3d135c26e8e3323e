#include <creactor/internal/process.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int cre_process_execute(const char *path, char *const *arguments, const int *keep, size_t count,
                        const char *variable, const char *value) {
    for (size_t i = 0; i < count; i++) {
        int flags = fcntl(keep[i], F_GETFD);
        if (flags < 0 || fcntl(keep[i], F_SETFD, flags & ~FD_CLOEXEC)) return -errno;
    }
    if (setenv(variable, value, 1)) return -errno;
    execv(path, arguments);
    return -errno;
}
