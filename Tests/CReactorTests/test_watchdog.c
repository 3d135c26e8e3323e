/* The watchdog bounds a stop, also of a process that is blocked. Each case is a child that ends by itself. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "test.h"

enum { EXIT_CODE = 9, LONG_MS = 3600000 };

static cre_watchdog *start(uint32_t limit_ms, uint32_t grace_ms, int flag, int *signals) {
    static const int wanted[] = { SIGTERM, SIGINT, SIGUSR1 };
    *signals = cre_signals_open(wanted, 3);
    cre_watchdog *watchdog = NULL;
    cre_watchdog_config config = { .signals = *signals,
                                   .stop_flag = flag,
                                   .limit_ms = limit_ms,
                                   .grace_ms = grace_ms,
                                   .exit_code = EXIT_CODE };
    if (*signals < 0 || cre_watchdog_start(&config, &watchdog)) cre_process_exit(1);
    return watchdog;
}

static void block(void) {
    for (;;)
        pause();
}

static cre_process_end wait_for_child(pid_t child) {
    siginfo_t info;
    while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    cre_process_end end = { 0 };
    CHECK(cre_process_reap(&end));
    return end;
}

/* Runs `body` in a child and returns its exit code. */
static int run_in_child(void (*body)(void)) {
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        body();
        cre_process_exit(0);
    }
    return wait_for_child(child).code;
}

static int take(cre_watchdog *watchdog) {
    struct pollfd entry = { .fd = cre_watchdog_descriptor(watchdog), .events = POLLIN };
    return poll(&entry, 1, 10000) == 1 ? cre_watchdog_next(watchdog) : -1;
}

static void forward(void) {
    int signals;
    cre_watchdog *watchdog = start(LONG_MS, LONG_MS, -1, &signals);
    if (cre_watchdog_next(watchdog)) cre_process_exit(2);
    static const int sent[] = { SIGUSR1, SIGTERM };
    for (int i = 0; i < 2; i++) {
        kill(getpid(), sent[i]);
        if (take(watchdog) != sent[i]) cre_process_exit(3);
    }
    uint32_t left = cre_watchdog_arm(watchdog); /* SIGTERM has begun the stop */
    if (left == 0 || left > LONG_MS) cre_process_exit(4);
    cre_watchdog_stop(watchdog);
    cre_signals_close(signals);
}

TEST(signals_are_passed_on) {
    CHECK_EQ(run_in_child(forward), 0);
}

static void exceed_limit(void) {
    int signals;
    start(20, 20, -1, &signals);
    kill(getpid(), SIGTERM);
    block();
}

static void exceed_limit_after_flag(void) {
    int signals, flag = cre_flag_create();
    start(20, 20, flag, &signals);
    cre_flag_raise(flag);
    block();
}

static void exceed_limit_after_request(void) {
    int signals;
    (void)!cre_watchdog_arm(start(20, 20, -1, &signals));
    block();
}

static void signal_twice(void) {
    int signals;
    cre_watchdog *watchdog = start(LONG_MS, 20, -1, &signals);
    kill(getpid(), SIGTERM);
    if (take(watchdog) != SIGTERM) cre_process_exit(2);
    kill(getpid(), SIGINT);
    block();
}

TEST(a_blocked_process_exits) {
    CHECK_EQ(run_in_child(exceed_limit), EXIT_CODE);
    CHECK_EQ(run_in_child(exceed_limit_after_flag), EXIT_CODE);
    CHECK_EQ(run_in_child(exceed_limit_after_request), EXIT_CODE);
    CHECK_EQ(run_in_child(signal_twice), EXIT_CODE);
}

static void stop_in_time(void) {
    int signals;
    cre_watchdog *watchdog = start(20, 20, -1, &signals);
    (void)!cre_watchdog_arm(watchdog);
    cre_watchdog_stop(watchdog);
    usleep(100000); /* longer than limit and grace: it would exit here */
}

TEST(a_stop_in_time_is_left_alone) {
    CHECK_EQ(run_in_child(stop_in_time), 0);
}

static void kill_guarded_at_once(void) {
    pid_t guarded = cre_process_fork();
    if (guarded == 0) block();
    kill(guarded, SIGSTOP);
    int signals;
    cre_watchdog *watchdog = start(LONG_MS, LONG_MS, -1, &signals);
    cre_watchdog_guard(watchdog, guarded);
    for (int i = 0; i < 2; i++) {
        kill(getpid(), SIGTERM);
        if (take(watchdog) != SIGTERM) cre_process_exit(2);
    }
    siginfo_t info;
    if (waitid(P_PID, (id_t)guarded, &info, WEXITED) || info.si_status != SIGKILL) cre_process_exit(3);
    cre_watchdog_stop(watchdog);
}

TEST(a_second_signal_kills_the_guarded_process) {
    CHECK_EQ(run_in_child(kill_guarded_at_once), 0);
}

static void kill_guarded_at_the_limit(void) {
    pid_t guarded = cre_process_fork();
    if (guarded == 0) block();
    kill(guarded, SIGSTOP);
    int signals;
    cre_watchdog *watchdog = start(1, 2000, -1, &signals);
    cre_watchdog_guard(watchdog, guarded);
    (void)!cre_watchdog_arm(watchdog);
    siginfo_t info;
    if (waitid(P_PID, (id_t)guarded, &info, WEXITED) || info.si_status != SIGKILL) cre_process_exit(3);
    cre_watchdog_stop(watchdog);
}

TEST(the_limit_kills_the_guarded_process) {
    CHECK_EQ(run_in_child(kill_guarded_at_the_limit), 0);
}

TEST_MAIN()
