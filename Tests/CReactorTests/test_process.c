/* Processes: what a manager and its children rely on. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

static volatile sig_atomic_t handled;

static void handle(int number) {
    handled = number;
}

TEST(a_child_has_default_signals) {
    struct sigaction ours = { .sa_handler = handle }, before, now;
    struct sigaction on_stack = { .sa_handler = handle, .sa_flags = SA_ONSTACK };
    REQUIRE(sigaction(SIGUSR1, &ours, &before) == 0);
    REQUIRE(sigaction(SIGUSR2, &on_stack, NULL) == 0);
    sigset_t blocked, mask;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int wrong = 0, parent_signal = 0;
        sigprocmask(SIG_SETMASK, NULL, &mask);
        for (int number = 1; number < 32; number++)
            wrong |= sigismember(&mask, number) == 1;
        sigaction(SIGUSR1, NULL, &now);
        if (now.sa_handler != SIG_DFL) wrong |= 2;
        sigaction(SIGPIPE, NULL, &now);
        if (now.sa_handler != SIG_IGN) wrong |= 4;
        sigaction(SIGUSR2, NULL, &now);
        if (now.sa_handler != handle) wrong |= 8; /* a reporter of crashes stays */
        prctl(PR_GET_PDEATHSIG, &parent_signal);
        if (parent_signal != SIGKILL) wrong |= 16;
        cre_process_exit(wrong);
    }
    CHECK_EQ(wait_for_one().code, 0);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    CHECK(sigismember(&mask, SIGTERM) == 1); /* the parent's is as it was */
    CHECK(sigismember(&mask, SIGUSR1) == 0);
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    sigaction(SIGUSR1, &before, NULL);
    sigaction(SIGUSR2, &before, NULL);
}

TEST(how_children_end) {
    cre_process_end end;
    CHECK(!cre_process_reap(&end)); /* none there */
    static const int codes[] = { 0, 1, 77, 255 }, signals[] = { SIGKILL, SIGTERM, SIGSEGV, SIGABRT };
    for (int i = 0; i < 4; i++) {
        pid_t child = cre_process_fork();
        REQUIRE(child >= 0);
        if (child == 0) cre_process_exit(codes[i]);
        end = wait_for_one();
        CHECK_EQ(end.pid, child);
        CHECK_EQ(end.code, codes[i]);
        CHECK_EQ(end.signal, 0);
        child = cre_process_fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            signal(signals[i], SIG_DFL); /* sanitizers have handlers of their own */
            kill(getpid(), signals[i]);
            pause();
        }
        end = wait_for_one();
        CHECK_EQ(end.pid, child);
        CHECK_EQ(end.signal, signals[i]);
    }
    int gate[2];
    REQUIRE(pipe(gate) == 0);
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        char byte;
        close(gate[1]);
        if (read(gate[0], &byte, 1) < 0) cre_process_exit(1);
        cre_process_exit(3);
    }
    CHECK(!cre_process_reap(&end)); /* it lives */
    close(gate[0]);
    close(gate[1]);
    CHECK_EQ(wait_for_one().code, 3);
}

TEST(children_die_with_their_parent) {
    int alive[2];
    REQUIRE(pipe(alive) == 0);
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (cre_process_fork() == 0)
            for (;;)
                pause();
        cre_process_exit(0);
    }
    close(alive[1]);
    CHECK_EQ(wait_for_one().code, 0);
    struct pollfd ended = { .fd = alive[0], .events = POLLIN };
    CHECK_EQ(poll(&ended, 1, 60000), 1); /* the grandchild held the other end */
    char byte;
    CHECK_EQ(read(alive[0], &byte, 1), 0);
    close(alive[0]);
}

TEST(output_is_not_written_twice) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        dup2(ends[1], 1);
        printf("once ");
        pid_t grandchild = cre_process_fork();
        if (grandchild == 0) {
            printf("child ");
            cre_process_exit(0);
        }
        int status;
        waitpid(grandchild, &status, 0);
        printf("parent");
        cre_process_exit(0);
    }
    close(ends[1]);
    char text[100] = "";
    size_t used = 0;
    for (ssize_t n; used < sizeof text - 1 && (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)n;
    CHECK_STR(text, "once child parent");
    close(ends[0]);
    wait_for_one();
}

TEST(descriptors_are_listed_and_closed) {
    int kept[2], other[2];
    REQUIRE(pipe(kept) == 0 && pipe(other) == 0);
    int all[256], count = cre_process_descriptors(all, 256);
    int found = 0;
    for (int i = 0; i < count; i++) {
        if (i) CHECK(all[i] > all[i - 1]);
        CHECK(fcntl(all[i], F_GETFD) >= 0);
        found += all[i] == kept[0] || all[i] == other[1];
    }
    CHECK_EQ(found, 2);
    CHECK_EQ(cre_process_descriptors(all, 2), 2);
    for (int unset = 0; unset < 2; unset++) {
        pid_t child = cre_process_fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            int keep[5] = { -1, 0, kept[0], kept[0], kept[1] };
            cre_process_close_others(keep + !unset, (size_t)(4 + unset));
            int wrong = 0;
            for (int i = 0; i < 3; i++)
                wrong |= fcntl(i, F_GETFD) < 0;
            wrong |= fcntl(kept[0], F_GETFD) < 0 || fcntl(kept[1], F_GETFD) < 0;
            if (fcntl(other[0], F_GETFD) >= 0 || fcntl(other[1], F_GETFD) >= 0) wrong |= 2;
            _exit(wrong);
        }
        CHECK_EQ(wait_for_one().code, 0);
    }
    for (int i = 0; i < 2; i++) {
        close(kept[i]);
        close(other[i]);
    }
}

TEST(signals_are_read_from_a_descriptor) {
    sigset_t before;
    sigprocmask(SIG_SETMASK, NULL, &before);
    static const int wanted[] = { SIGUSR1, SIGTERM };
    int descriptor = cre_signals_open(wanted, 2);
    REQUIRE(descriptor >= 0);
    CHECK_EQ(cre_signals_next(descriptor), 0);
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGUSR1);
    int first = cre_signals_next(descriptor), second = cre_signals_next(descriptor);
    CHECK_EQ(first + second, SIGTERM + SIGUSR1);
    CHECK_EQ(cre_signals_next(descriptor), 0);
    close(descriptor);
    CHECK(cre_signals_next(descriptor) < 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void *signal_itself(void *context) {
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    pthread_kill(pthread_self(), *(int *)context);
    return NULL;
}

TEST(signals_of_other_threads_are_taken) {
    sigset_t before, now;
    sigprocmask(SIG_SETMASK, NULL, &before);
    sigset_t usr2;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &usr2, NULL);
    static const int wanted[] = { SIGUSR1, SIGTERM, SIGUSR2 };
    int descriptor = cre_signals_open(wanted, 3);
    REQUIRE(descriptor >= 0);
    CHECK_EQ(cre_signals_take_from_threads(descriptor), 0);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        int signal = wanted[i];
        REQUIRE(pthread_create(&thread, NULL, signal_itself, &signal) == 0);
        pthread_join(thread, NULL);
        CHECK_EQ(cre_signals_next(descriptor), wanted[i]);
        CHECK_EQ(cre_signals_next(descriptor), 0);
    }
    cre_signals_close(descriptor);
    /* All is as it was: no handler, and blocked is what was blocked before. */
    struct sigaction action;
    sigprocmask(SIG_SETMASK, NULL, &now);
    for (int i = 0; i < 3; i++) {
        CHECK(sigaction(wanted[i], NULL, &action) == 0 && action.sa_handler == SIG_DFL);
        CHECK_EQ(sigismember(&now, wanted[i]), wanted[i] == SIGUSR2);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
}

TEST(a_flag_never_blocks) {
    int flag = cre_flag_create();
    REQUIRE(flag >= 0);
    /* What any process can do to it. */
    CHECK_EQ(fcntl(flag, F_SETFL, fcntl(flag, F_GETFL) & ~O_NONBLOCK), 0);
    CHECK(!cre_flag_lower(flag));
    uint64_t most = UINT64_MAX - 1;
    CHECK_EQ(write(flag, &most, sizeof most), sizeof most);
    cre_flag_raise(flag);
    CHECK(cre_flag_lower(flag));
    CHECK(!cre_flag_lower(flag));
    close(flag);
}

TEST(flags_are_shared_with_children) {
    int flag = cre_flag_create();
    REQUIRE(flag >= 0);
    CHECK(!cre_flag_raised(flag));
    CHECK(!cre_flag_lower(flag));
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        cre_flag_raise(flag);
        cre_flag_raise(flag);
        cre_process_exit(cre_flag_raised(flag) ? 0 : 1);
    }
    CHECK_EQ(wait_for_one().code, 0);
    CHECK(cre_flag_raised(flag));
    CHECK(cre_flag_lower(flag));
    CHECK(!cre_flag_raised(flag));
    CHECK(!cre_flag_lower(flag));
    close(flag);
}

/* Runs a daemon that reports `cause`, or ends without a report. Returns how the first process ended; `text`
 * is its standard error, `done` the output of the daemon. */
static cre_process_end run_daemon(const char *cause, bool reports, char text[200], char done[200]) {
    int errors[2], output[2];
    REQUIRE(pipe(errors) == 0 && pipe(output) == 0);
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        pid_t group = getpgrp();
        dup2(errors[1], 2);
        close(errors[1]);
        int report = cre_daemon_start(output[1]);
        close(output[1]);
        char folder[100], byte;
        printf("%d %d %d %s %zd", report >= 0, getpgrp() != group && getsid(0) == getpgrp(),
               getsid(0) != getpid() && getppid() != child, getcwd(folder, sizeof folder), read(0, &byte, 1));
        if (reports) cre_daemon_report(report, cause);
        cre_process_exit(5);
    }
    close(errors[1]);
    close(output[1]);
    cre_process_end end = wait_for_one();
    ssize_t n = read(errors[0], text, 199);
    text[n > 0 ? n : 0] = 0;
    size_t size = 0;
    while (size < 199 && (n = read(output[0], done + size, 199 - size)) > 0)
        size += (size_t)n;
    done[size] = 0;
    close(errors[0]);
    close(output[0]);
    return end;
}

TEST(daemons_report_to_the_process_that_started_them) {
    char text[200], done[200];
    cre_process_end end = run_daemon(NULL, true, text, done);
    CHECK_EQ(end.code, 0);
    CHECK_EQ(end.signal, 0);
    CHECK_STR(text, "");
    CHECK_STR(done, "1 1 1 / 0");
    end = run_daemon("it is too late", true, text, done);
    CHECK_EQ(end.code, 1);
    CHECK_STR(text, "it is too late\n");
    CHECK_STR(done, "1 1 1 / 0");
    end = run_daemon(NULL, false, text, done);
    CHECK_EQ(end.code, 1);
    CHECK_STR(text, "the server ended before it was ready\n");
}

TEST(identities_are_found) {
    static cre_identity one, two;
    CHECK_EQ(cre_identity_find(NULL, NULL, &one), 0);
    CHECK(!one.has_user && !one.has_group);
    REQUIRE(cre_identity_find("nobody", NULL, &one) == 0);
    CHECK(one.has_user && one.has_group && one.group_count >= 1 && one.user != 0);
    char number[20];
    snprintf(number, sizeof number, "%u", (unsigned)one.user);
    REQUIRE(cre_identity_find(number, NULL, &two) == 0);
    CHECK_EQ(two.user, one.user);
    CHECK_EQ(two.group, one.group);
    REQUIRE(cre_identity_find("nobody", "daemon", &two) == 0);
    CHECK(two.group != one.group);
    REQUIRE(cre_identity_find(NULL, "daemon", &two) == 0);
    CHECK(!two.has_user && two.has_group && two.group_count == 1 && two.groups[0] == two.group);
    static const char *const unknown[] = {
        "", "no such name", "-1", "4294967295", "99999999999", "0x1", "1 "
    };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK_EQ(cre_identity_find(unknown[i], NULL, &two), -ENOENT);
        CHECK_EQ(cre_identity_find(NULL, unknown[i], &two), -ENOENT);
    }
}

/* A folder with a file that only root may read. */
static void make_folder(char folder[64], char file[80]) {
    snprintf(folder, 64, "/tmp/cre-test.XXXXXX");
    REQUIRE(mkdtemp(folder) != NULL);
    chmod(folder, 0755);
    snprintf(file, 80, "%s/secret", folder);
    int descriptor = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    REQUIRE(descriptor >= 0);
    close(descriptor);
}

static bool can_open(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) close(descriptor);
    return descriptor >= 0;
}

static bool is_root(void) {
    if (geteuid() == 0) return true;
    fputs("skipped: switching the user needs root\n", stderr);
    return false;
}

TEST(a_process_switches_user_for_good) {
    if (!is_root()) return;
    static cre_identity identity;
    REQUIRE(cre_identity_find("nobody", NULL, &identity) == 0);
    char folder[64], file[80];
    make_folder(folder, file);
    for (int with_root = 0; with_root < 2; with_root++) {
        pid_t child = cre_process_fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            int wrong = cre_identity_switch(&identity, with_root ? folder : NULL) != 0, signal_number = 0;
            uid_t real, effective, saved;
            gid_t groups[CRE_MAX_GROUPS];
            getresuid(&real, &effective, &saved);
            if (real != identity.user || effective != identity.user || saved != identity.user) wrong |= 2;
            if (getgid() != identity.group || getgroups(CRE_MAX_GROUPS, groups) != (int)identity.group_count)
                wrong |= 4;
            if (!setuid(0) || !setgid(0)) wrong |= 8;
            prctl(PR_GET_PDEATHSIG, &signal_number);
            if (signal_number != SIGKILL) wrong |= 16;
            if (can_open(with_root ? "/secret" : file)) wrong |= 32;
            if ((access("/secret", F_OK) == 0) != with_root || (access(file, F_OK) == 0) == with_root)
                wrong |= 64;
            _exit(wrong);
        }
        CHECK_EQ(wait_for_one().code, 0);
    }
    unlink(file);
    rmdir(folder);
}

typedef struct file_user {
    const cre_identity *identity;
    const char *folder, *file;
    int wrong;
} file_user;

static void *use_files(void *context) {
    file_user *user = context;
    user->wrong = cre_identity_switch_files(user->identity, NULL) != 0;
    if (can_open(user->file)) user->wrong |= 2;
    if (geteuid() != 0) user->wrong |= 4;
    return NULL;
}

static void *use_root(void *context) {
    file_user *user = context;
    user->wrong = cre_identity_switch_files(user->identity, user->folder) != 0;
    if (can_open("/secret") || access("/secret", F_OK)) user->wrong |= 2;
    return NULL;
}

TEST(a_thread_opens_files_as_another_user) {
    if (!is_root()) return;
    static cre_identity identity;
    REQUIRE(cre_identity_find("nobody", NULL, &identity) == 0);
    char folder[64], file[80];
    make_folder(folder, file);
    file_user user = { &identity, folder, file, -1 };
    void *(*const threads[])(void *) = { use_files, use_root };
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, threads[i], &user) == 0);
        pthread_join(thread, NULL);
        CHECK_EQ(user.wrong, 0);
        CHECK(can_open(file)); /* this thread is who it was */
    }
    unlink(file);
    rmdir(folder);
}

static void *pin(void *context) {
    const int *cpus = context;
    int now[2], wrong = cre_thread_pin(cpus[0]) != 0;
    wrong |= cre_process_cpus(now, 2) != 1 || now[0] != cpus[0];
    return wrong ? context : NULL;
}

TEST(threads_are_pinned) {
    int before[1024], after[1024];
    int count = cre_process_cpus(before, 1024);
    REQUIRE(count >= 1);
    for (int i = 1; i < count; i++)
        CHECK(before[i] > before[i - 1]);
    pthread_t thread;
    void *result;
    REQUIRE(pthread_create(&thread, NULL, pin, &before[count - 1]) == 0);
    pthread_join(thread, &result);
    CHECK(result == NULL);
    CHECK_EQ(cre_process_cpus(after, 1024), count);
    CHECK_EQ(cre_process_cpus(after, 1), 1);
    CHECK_EQ(cre_thread_pin(-1), -EINVAL);
    CHECK_EQ(cre_thread_pin(1 << 20), -EINVAL);
}

TEST(the_limit_of_descriptors_is_raised) {
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct rlimit limit = { .rlim_cur = 100, .rlim_max = 300 };
        int wrong = setrlimit(RLIMIT_NOFILE, &limit) != 0;
        if (cre_process_allow_descriptors(50) != 100) wrong |= 2;
        if (cre_process_allow_descriptors(200) != 200) wrong |= 4;
        if (cre_process_allow_descriptors(1000) != 300) wrong |= 8;
        if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur != 300 || limit.rlim_max != 300) wrong |= 16;
        _exit(wrong);
    }
    CHECK_EQ(wait_for_one().code, 0);
}

static void *wait_at(void *gate) {
    char byte;
    CHECK_EQ(read(*(int *)gate, &byte, 1), 1);
    return NULL;
}

TEST(threads_are_counted) {
    int alone = cre_process_threads(), gate[2]; /* a sanitizer may have one of its own */
    CHECK(alone >= 1);
    REQUIRE(pipe(gate) == 0);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, wait_at, &gate[0]) == 0);
    CHECK(cre_process_threads() >= alone + 1);
    CHECK_EQ(write(gate[1], "g", 1), 1);
    pthread_join(thread, NULL);
    close(gate[0]);
    close(gate[1]);
}

static void read_file(const char *path, char *out, size_t capacity) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE(descriptor >= 0);
    ssize_t n = read(descriptor, out, capacity - 1);
    close(descriptor);
    out[n > 0 ? n : 0] = 0;
}

TEST(the_title_is_seen_and_the_environment_stays) {
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) { /* the arguments are overwritten afterwards */
        setenv("CRE_TEST_TITLE", "kept", 1);
        char path[1000];
        snprintf(path, sizeof path, "%s", getenv("PATH") ? getenv("PATH") : "");
        cre_process_set_title(NULL);
        cre_process_set_title("cre: a worker");
        char text[4096];
        read_file("/proc/self/cmdline", text, sizeof text);
        CHECK_STR(text, "cre: a worker");
        read_file("/proc/self/comm", text, sizeof text);
        CHECK_STR(text, "cre: a worker\n");
        CHECK_STR(getenv("CRE_TEST_TITLE") ? getenv("CRE_TEST_TITLE") : "", "kept");
        if (path[0]) CHECK(strncmp(getenv("PATH"), path, strlen(path)) == 0);
        char *endless = malloc(1 << 20);
        REQUIRE(endless != NULL);
        memset(endless, 't', (1 << 20) - 1);
        endless[(1 << 20) - 1] = 0;
        cre_process_set_title(endless); /* cut */
        cre_process_set_title("");
        free(endless);
        cre_process_exit(test_failures ? 1 : 0);
    }
    CHECK_EQ(wait_for_one().code, 0);
}

TEST_MAIN()
