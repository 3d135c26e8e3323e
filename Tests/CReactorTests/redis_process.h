/* A server of Redis that a test starts and kills. It has a Unix socket, for which no other program can come
 * first. REDIS_SERVER in the environment is another program, such as that of Valkey. */
#ifndef CRE_REDIS_PROCESS_H
#define CRE_REDIS_PROCESS_H

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "test.h"

static pid_t redis_pid;
static char redis_folder[] = "/tmp/cre-redis-XXXXXX";
static char redis_host[64]; /* as clients name it */

static inline const char *redis_program(void) {
    const char *named = getenv("REDIS_SERVER");
    return named && *named ? named : "redis-server";
}

static inline struct sockaddr_un redis_address(void) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", redis_folder);
    return address;
}

/* Begins to connect, without blocking. Returns 0 or an error. */
static inline int redis_connect(int *fd) {
    const struct sockaddr_un to = redis_address();
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return connect(*fd, (const struct sockaddr *)&to, sizeof to) ? -errno : 0;
}

static inline void redis_start(bool persistent) {
    const struct sockaddr_un address = redis_address();
    redis_pid = fork();
    REQUIRE(redis_pid >= 0);
    if (redis_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp(redis_program(), redis_program(), "--port", "0", "--unixsocket", address.sun_path, "--save",
               "", "--appendonly", persistent ? "yes" : "no", "--appendfsync", "always", "--dir",
               redis_folder, "--logfile", "/dev/null", (char *)NULL);
        _exit(127);
    }
}

static inline void redis_kill(void) {
    kill(redis_pid, SIGKILL);
    REQUIRE(waitpid(redis_pid, NULL, 0) == redis_pid);
}

static inline const char *redis_socket(void) {
    return redis_host + strlen("unix:");
}

/* Runs redis-cli with arguments that the shell reads, and returns whether it, or what they pipe it to, has
 * succeeded. */
__attribute__((format(printf, 1, 2))) static inline bool redis_cli(const char *format, ...) {
    char command[512];
    int used = snprintf(command, sizeof command, "exec 1>/dev/null; redis-cli -s %s ", redis_socket());
    va_list arguments;
    va_start(arguments, format);
    used += vsnprintf(command + used, sizeof command - (size_t)used, format, arguments);
    va_end(arguments);
    REQUIRE(used < (int)sizeof command);
    return system(command) == 0;
}

/* Stops the server, or lets it continue: its connections stay. */
static inline void redis_stop(bool stops) {
    kill(redis_pid, stops ? SIGSTOP : SIGCONT);
}

/* The main function of a test that needs the server. Without one it is skipped. */
static inline int redis_test_main(int argc, char **argv) {
    const bool is_named = redis_program()[0] == '/';
    if (is_named && access(redis_program(), X_OK)) {
        printf("%s cannot be executed\n", redis_program());
        return 1;
    }
    if (!is_named && access("/usr/bin/redis-server", X_OK) && access("/usr/local/bin/redis-server", X_OK)) {
        printf("skipped: redis-server is not installed\n");
        return 77; /* CTest's SKIP_RETURN_CODE */
    }
    REQUIRE(mkdtemp(redis_folder));
    snprintf(redis_host, sizeof redis_host, "unix:%s/socket", redis_folder);
    const int result = test_main(argc, argv);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", redis_folder);
    return result | (system(command) != 0);
}

#endif
