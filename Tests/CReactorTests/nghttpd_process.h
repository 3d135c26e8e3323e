/* The server of nghttp2, which serves the files of a folder, for tests of clients. */
#ifndef CRE_NGHTTPD_PROCESS_H
#define CRE_NGHTTPD_PROCESS_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ports.h"
#include "test.h"

enum { NGHTTPD_TRIES = 5, NGHTTPD_WAIT_MS = 20, NGHTTPD_WAITS = 1000 };

static pid_t nghttpd_pid;
static char nghttpd_folder[] = "/tmp/cre-nghttpd-XXXXXX";
static const char *nghttpd_program;

static inline void nghttpd_write(const char *name, const char *data, size_t length) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", nghttpd_folder, name);
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    REQUIRE(fwrite(data, 1, length, file) == length && fclose(file) == 0);
}

/* Waits until it accepts, or has ended, since another program has taken the port. */
static inline bool nghttpd_accepts(uint16_t port) {
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    for (int i = 0; i < NGHTTPD_WAITS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool accepts = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
        close(fd);
        if (waitpid(nghttpd_pid, NULL, WNOHANG) == nghttpd_pid) return false;
        if (accepts) return true;
        usleep(NGHTTPD_WAIT_MS * 1000);
    }
    return false;
}

/* Starts it with options, of which the last one is NULL. Over TLS it uses the files key.pem and chain.pem of
 * the folder. Returns the port. */
static inline uint16_t nghttpd_start(bool tls, const char *const *options) {
    for (int tries = 0; tries < NGHTTPD_TRIES; tries++) {
        const uint16_t port = free_port();
        char number[8];
        snprintf(number, sizeof number, "%u", port);
        const char *arguments[24] = { nghttpd_program, "-a", "127.0.0.1", "-d", nghttpd_folder };
        int count = 5;
        for (const char *const *option = options; *option && count < 18; option++)
            arguments[count++] = *option;
        if (!tls) arguments[count++] = "--no-tls";
        arguments[count++] = number;
        if (tls) arguments[count++] = "key.pem", arguments[count++] = "chain.pem";
        nghttpd_pid = fork();
        REQUIRE(nghttpd_pid >= 0);
        if (nghttpd_pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
            if (chdir(nghttpd_folder) || dup2(null, 1) < 0 || dup2(null, 2) < 0) _exit(126);
            execv(nghttpd_program, (char *const *)(uintptr_t)arguments);
            _exit(127);
        }
        if (nghttpd_accepts(port)) return port;
    }
    REQUIRE(!"nghttpd does not start");
    return 0;
}

static inline void nghttpd_stop(void) {
    kill(nghttpd_pid, SIGKILL);
    REQUIRE(waitpid(nghttpd_pid, NULL, 0) == nghttpd_pid);
}

/* The main function of a test that needs the server. Without one it is skipped. */
static inline int nghttpd_test_main(int argc, char **argv) {
    static const char *const places[] = { "/usr/sbin/nghttpd", "/usr/bin/nghttpd", "/usr/local/bin/nghttpd" };
    for (size_t i = 0; i < sizeof places / sizeof *places && !nghttpd_program; i++)
        if (access(places[i], X_OK) == 0) nghttpd_program = places[i];
    if (!nghttpd_program) {
        printf("skipped: nghttpd is not installed\n");
        return 77; /* CTest's SKIP_RETURN_CODE */
    }
    REQUIRE(mkdtemp(nghttpd_folder));
    const int result = test_main(argc, argv);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", nghttpd_folder);
    return result | (system(command) != 0);
}

#endif
