/* Flags that processes share. A signal requires the permission to send it, an inherited descriptor does not.
 */
#include <creactor/internal/process.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int cre_flag_create(void) {
    int flag = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return flag < 0 ? -errno : flag;
}

void cre_flag_raise(int flag) {
    eventfd_write(flag, 1); /* fails only when the flag is raised already */
}

bool cre_flag_raised(int flag) {
    struct pollfd entry = { .fd = flag, .events = POLLIN };
    return poll(&entry, 1, 0) > 0 && (entry.revents & POLLIN);
}

bool cre_flag_lower(int flag) {
    eventfd_t count;
    return eventfd_read(flag, &count) == 0;
}
