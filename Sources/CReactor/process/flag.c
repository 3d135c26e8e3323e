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

/* Any process can make the descriptor a blocking one for all, so nothing is tried that could block. */
static bool is_ready(int flag, short events) {
    struct pollfd entry = { .fd = flag, .events = events };
    return poll(&entry, 1, 0) > 0 && (entry.revents & events);
}

void cre_flag_raise(int flag) {
    if (is_ready(flag, POLLOUT)) eventfd_write(flag, 1); /* else it is raised already */
}

bool cre_flag_raised(int flag) {
    return is_ready(flag, POLLIN);
}

bool cre_flag_lower(int flag) {
    eventfd_t count;
    return is_ready(flag, POLLIN) && eventfd_read(flag, &count) == 0;
}
