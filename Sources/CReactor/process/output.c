/* Output that never waits for its reader. */
#include <creactor/internal/process.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Linux writes a pipe's last PIPE_BUF bytes at once or not at all; POSIX names no larger number. */
enum { ATOMIC = 4096 };

/* The process's own open file description of an inherited pipe or terminal. */
static int own = -1;
static struct stat own_file;

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_rdev == b->st_rdev;
}

/* O_NONBLOCK belongs to the open file description, which this process shares with its parent (a shell, say)
 * and with every other program that writes there: setting it would make their writes fail. The same pipe or
 * terminal opened again has a description of its own. */
static int open_own(int descriptor, const struct stat *file) {
    if (own >= 0) {
        if (same_file(&own_file, file)) return own;
        close(own); /* the application has redirected `descriptor` */
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    own = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    own_file = *file;
    return own;
}

/* It cannot be opened again when it belongs to another user. Newer kernels have writes that do not wait; with
 * older ones, another process may fill the pipe between poll() and write(), which then waits for the reader.
 */
static ssize_t write_shared(int descriptor, const void *bytes, size_t length) {
    struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = length };
    ssize_t written = pwritev2(descriptor, &part, 1, -1, RWF_NOWAIT);
    if (written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) return written;
    struct pollfd room = { .fd = descriptor, .events = POLLOUT };
    if (poll(&room, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(descriptor, bytes, length < ATOMIC ? length : ATOMIC);
}

static ssize_t write_some(int descriptor, const void *bytes, size_t length) {
    struct stat file;
    if (descriptor > STDERR_FILENO) return write(descriptor, bytes, length);
    if (fstat(descriptor, &file)) return -1;
    if (S_ISSOCK(file.st_mode)) return send(descriptor, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!S_ISFIFO(file.st_mode) && !S_ISCHR(file.st_mode)) return write(descriptor, bytes, length);
    int opened = open_own(descriptor, &file);
    return opened >= 0 ? write(opened, bytes, length) : write_shared(descriptor, bytes, length);
}

ssize_t cre_output_write(int descriptor, const void *bytes, size_t length) {
    ssize_t written;
    do
        written = write_some(descriptor, bytes, length);
    while (written < 0 && errno == EINTR);
    return written < 0 ? -errno : written;
}

bool cre_output_wait(int descriptor, int milliseconds) {
    struct pollfd room = { .fd = descriptor, .events = POLLOUT };
    int result = poll(&room, 1, milliseconds);
    return result > 0 || (result < 0 && errno == EINTR);
}

void cre_output_close(void) {
    if (own >= 0) close(own);
    own = -1;
}
