/* Messages to the program that supervises this process. */
#include <creactor/internal/process.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int cre_process_notify(const char *path, const void *message, size_t length) {
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t size = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || size < 2) return -EINVAL;
    if (size > sizeof to.sun_path - (path[0] == '/')) return -ENAMETOOLONG;
    memcpy(to.sun_path, path, size);
    if (path[0] == '@') to.sun_path[0] = 0; /* an abstract socket, whose name ends with the address */
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    socklen_t to_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] == '/'));
    ssize_t sent;
    do
        sent =
            sendto(descriptor, message, length, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to, to_size);
    while (sent < 0 && errno == EINTR);
    int result = sent < 0 ? -errno : 0;
    close(descriptor);
    return result;
}
