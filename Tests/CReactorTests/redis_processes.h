/* Several servers of Redis on ports of the loopback interface, and their replies to commands. */
#ifndef CRE_REDIS_PROCESSES_H
#define CRE_REDIS_PROCESSES_H

#include "ports.h"
#include "redis_process.h"

typedef struct process {
    pid_t pid;
    uint16_t port;
} process;

static inline void stop(process *it) {
    kill(it->pid, SIGKILL);
    REQUIRE(waitpid(it->pid, NULL, 0) == it->pid);
}

static char said[16384]; /* the last reply */

/* Whether a server's reply to a command, in the form of a line, contains a text. It ends with that to another
 * command. */
static inline bool says(const process *it, const char *password, const char *command, const char *wanted) {
    const struct sockaddr_in at = { .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons(it->port) };
    const struct timeval limit = { .tv_sec = 5 };
    size_t used = 0;
    said[0] = 0;
    const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(descriptor >= 0);
    REQUIRE(setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    if (connect(descriptor, (const struct sockaddr *)&at, sizeof at) == 0) {
        const int length =
            snprintf(said, sizeof said, "AUTH %s\r\n%s\r\nECHO the-end\r\n", password, command);
        bool more = send(descriptor, said, (size_t)length, MSG_NOSIGNAL) == length;
        said[0] = 0;
        while (more && used < sizeof said - 1) {
            const ssize_t n = recv(descriptor, said + used, sizeof said - 1 - used, 0);
            used += n > 0 ? (size_t)n : 0;
            said[used] = 0;
            more = n > 0 && !strstr(said, "the-end");
        }
    }
    close(descriptor);
    return strstr(said, wanted) != NULL;
}

#endif
