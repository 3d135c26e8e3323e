/* Output that does not wait for whoever reads it. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "test.h"

/* Waits for one child and returns how it ended. */
static cre_process_end wait_for_one(void) {
    siginfo_t info;
    while (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    cre_process_end end = { 0 };
    CHECK(cre_process_reap(&end));
    return end;
}

/* Standard error becomes one end of `ends` in a child, which fills it until there is no room. Its exit code
 * says what was wrong. */
static int fill_standard_error(int writer, int reader) {
    char line[100];
    memset(line, 'x', sizeof line);
    int before = fcntl(writer, F_GETFL);
    if (dup2(writer, STDERR_FILENO) < 0) return 1;
    size_t written = 0;
    ssize_t result;
    while ((result = cre_output_write(STDERR_FILENO, line, sizeof line)) > 0)
        written += (size_t)result;
    if (result != -EAGAIN || !written) return 2;
    if (cre_output_wait(STDERR_FILENO, 0)) return 3;
    /* Whoever shares the descriptor is not affected. */
    if (fcntl(writer, F_GETFL) != before || (before & O_NONBLOCK)) return 4;
    char buffer[4096];
    while (written) {
        ssize_t got = read(reader, buffer, sizeof buffer);
        if (got <= 0) return 5;
        written -= (size_t)got;
    }
    if (!cre_output_wait(STDERR_FILENO, 10000)) return 6;
    if (cre_output_write(STDERR_FILENO, line, sizeof line) != sizeof line) return 7;
    cre_output_close();
    return 0;
}

TEST(output_does_not_wait_for_its_reader) {
    for (int is_socket = 0; is_socket < 2; is_socket++) {
        int ends[2];
        REQUIRE((is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) == 0);
        pid_t child = cre_process_fork();
        REQUIRE(child >= 0);
        if (child == 0) cre_process_exit(fill_standard_error(ends[1], ends[0]));
        CHECK_EQ(wait_for_one().code, 0);
        close(ends[0]);
        close(ends[1]);
    }
}

TEST(output_follows_a_redirection) {
    int first[2], second[2];
    REQUIRE(pipe(first) == 0 && pipe(second) == 0);
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int wrong = dup2(first[1], STDERR_FILENO) < 0 || cre_output_write(STDERR_FILENO, "a", 1) != 1;
        wrong |= dup2(second[1], STDERR_FILENO) < 0 || cre_output_write(STDERR_FILENO, "b", 1) != 1;
        cre_process_exit(wrong);
    }
    CHECK_EQ(wait_for_one().code, 0);
    char byte = 0;
    CHECK(read(first[0], &byte, 1) == 1 && byte == 'a');
    CHECK(read(second[0], &byte, 1) == 1 && byte == 'b');
    for (int i = 0; i < 2; i++) {
        close(first[i]);
        close(second[i]);
    }
}

TEST(output_without_a_reader_is_an_error) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    close(ends[0]);
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int wrong = dup2(ends[1], STDERR_FILENO) < 0;
        cre_process_exit(wrong || cre_output_write(STDERR_FILENO, "a", 1) != -EPIPE);
    }
    CHECK_EQ(wait_for_one().code, 0);
    close(ends[1]);
}

TEST_MAIN()
