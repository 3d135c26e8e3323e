/* Daemons: the server continues in a grandchild with its own session, and the caller waits for its report.
 */
#include <creactor/internal/process.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static ssize_t read_some(int descriptor, char *into, size_t size) {
    ssize_t got;
    do
        got = read(descriptor, into, size);
    while (got < 0 && errno == EINTR);
    return got;
}

/* The first process: waits for the result of the server's start and exits with it. */
static void __attribute__((noreturn)) wait_for_report(int descriptor, pid_t child) {
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    char text[4096];
    size_t size = 0;
    for (ssize_t got;
         size < sizeof text && (got = read_some(descriptor, text + size, sizeof text - size)) > 0;) {
        if (!text[0]) _exit(0);
        size += (size_t)got;
    }
    if (size)
        fprintf(stderr, "%.*s\n", (int)size, text);
    else
        fputs("the server ended before it was ready\n", stderr);
    cre_process_exit(1);
}

static void redirect(int output) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) dup2(null, 0);
    for (int standard = 1; standard <= 2; standard++)
        dup2(output >= 0 ? output : null, standard);
    if (null > 2) close(null);
}

int cre_daemon_start(int output) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return -errno;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        return -error;
    }
    if (child > 0) {
        close(ends[1]);
        wait_for_report(ends[0], child);
    }
    close(ends[0]);
    setsid();
    /* Fork again: a session leader acquires a controlling terminal when it opens one. */
    child = fork();
    if (child < 0) {
        cre_daemon_report(ends[1], strerror(errno));
        _exit(1);
    }
    if (child > 0) _exit(0);
    redirect(output);
    if (chdir("/")) { /* the working directory is unchanged then */
    }
    return ends[1];
}

void cre_daemon_report(int report, const char *cause) {
    const char *at = cause ? cause : "";
    size_t left = cause ? strlen(cause) : 1;
    while (left) {
        ssize_t written = write(report, at, left);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) break; /* the waiting process has ended */
        at += written;
        left -= (size_t)written;
    }
    close(report);
}
