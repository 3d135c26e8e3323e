/* A server of Redis that a test starts and kills, on a port of loopback. */
#ifndef CRE_REDIS_PROCESS_H
#define CRE_REDIS_PROCESS_H

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "test.h"

static uint16_t redis_port;
static pid_t redis_pid;
static char redis_folder[] = "/tmp/cre-redis-XXXXXX";

static inline struct sockaddr_in redis_address(void) {
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                 .sin_port = htons(redis_port) };
}

static inline void redis_choose_port(void) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = redis_address();
    socklen_t size = sizeof any;
    any.sin_port = 0;
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)&any, &size) == 0);
    redis_port = ntohs(any.sin_port);
    close(fd);
}

static inline void redis_start(bool persistent) {
    char number[8];
    snprintf(number, sizeof number, "%u", redis_port);
    redis_pid = fork();
    REQUIRE(redis_pid >= 0);
    if (redis_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", number, "--save", "",
               "--appendonly", persistent ? "yes" : "no", "--appendfsync", "always", "--dir", redis_folder,
               "--logfile", "/dev/null", (char *)NULL);
        _exit(127);
    }
}

static inline void redis_kill(void) {
    kill(redis_pid, SIGKILL);
    REQUIRE(waitpid(redis_pid, NULL, 0) == redis_pid);
}

/* The main function of a test that needs the server. Without one it is skipped. */
static inline int redis_test_main(int argc, char **argv) {
    if (access("/usr/bin/redis-server", X_OK) && access("/usr/local/bin/redis-server", X_OK)) {
        printf("skipped: redis-server is not installed\n");
        return 77; /* CTest's SKIP_RETURN_CODE */
    }
    REQUIRE(mkdtemp(redis_folder));
    const int result = test_main(argc, argv);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", redis_folder);
    return result | (system(command) != 0);
}

#endif
