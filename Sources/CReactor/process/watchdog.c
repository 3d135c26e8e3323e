/* The watchdog: a thread that reads signals and bounds the time of a stop, whatever the main thread does. */
#include <creactor/internal/process.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct cre_watchdog {
    cre_watchdog_config config;
    pthread_t thread;
    sem_t started;
    int result;            /* of the thread's start */
    int wake;              /* an eventfd: something below has changed */
    int ends[2];           /* signals pass from the thread, which writes 1, to the owner, who reads 0 */
    _Atomic int64_t limit; /* when a stop must have ended, in ms of the monotonic clock; 0: there is none */
    _Atomic pid_t victim;  /* killed half a grace after the limit; 0: none, or killed */
    atomic_bool is_over;
    bool was_signalled;
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void kill_victim(cre_watchdog *watchdog) {
    pid_t victim = atomic_exchange(&watchdog->victim, 0);
    if (victim <= 0) return;
    if (watchdog->config.killing) watchdog->config.killing(watchdog->config.context, victim);
    kill(victim, SIGKILL);
}

static void arm(cre_watchdog *watchdog) {
    int64_t none = 0;
    atomic_compare_exchange_strong(&watchdog->limit, &none, now_ms() + watchdog->config.limit_ms);
}

static void receive(cre_watchdog *watchdog, int number) {
    if (number == SIGTERM || number == SIGINT) {
        arm(watchdog);
        if (watchdog->was_signalled) {
            /* The second one: nothing is waited for any more. */
            if (now_ms() < atomic_load(&watchdog->limit)) atomic_store(&watchdog->limit, now_ms());
            pid_t victim = atomic_exchange(&watchdog->victim, 0);
            if (victim > 0) kill(victim, SIGKILL);
        }
        watchdog->was_signalled = true;
    }
    /* A signal for which there is no room is lost: the owner has a thousand others to read, among them one of
     * each kind that matters. */
    unsigned char byte = (unsigned char)number;
    send(watchdog->ends[1], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* How long to sleep: until a signal comes, or the next step of a stop is due. */
static int next_timeout(cre_watchdog *watchdog) {
    int64_t limit = atomic_load(&watchdog->limit);
    if (!limit) return -1;
    int64_t grace = watchdog->config.grace_ms;
    int64_t due = limit + (atomic_load(&watchdog->victim) > 0 ? grace / 2 : grace), left = due - now_ms();
    return left < 0 ? 0 : left > 60000 ? 60000 : (int)left + 1;
}

static void step(cre_watchdog *watchdog) {
    int64_t limit = atomic_load(&watchdog->limit), now = now_ms(), grace = watchdog->config.grace_ms;
    if (!limit || now < limit + grace / 2) return;
    kill_victim(watchdog);
    if (now < limit + grace || atomic_load(&watchdog->is_over)) return;
    if (watchdog->config.exiting) watchdog->config.exiting(watchdog->config.context);
    _exit(watchdog->config.exit_code);
}

static void *run(void *context) {
    cre_watchdog *watchdog = context;
    if (watchdog->config.takes_from_threads)
        watchdog->result = cre_signals_take_from_threads(watchdog->config.signals);
    bool runs = !watchdog->result;
    sem_post(&watchdog->started);
    while (runs && !atomic_load(&watchdog->is_over)) {
        bool is_armed = atomic_load(&watchdog->limit) != 0;
        struct pollfd entries[] = {
            { .fd = watchdog->wake, .events = POLLIN },
            { .fd = watchdog->config.signals, .events = POLLIN },
            { .fd = is_armed ? -1 : watchdog->config.stop_flag, .events = POLLIN },
        };
        if (poll(entries, 3, next_timeout(watchdog)) > 0) {
            eventfd_t count;
            if (entries[0].revents) eventfd_read(watchdog->wake, &count);
            for (int number; entries[1].revents && (number = cre_signals_next(watchdog->config.signals)) > 0;)
                receive(watchdog, number);
            if (entries[2].revents & POLLIN) arm(watchdog);
        }
        step(watchdog);
    }
    return NULL;
}

static void free_watchdog(cre_watchdog *watchdog) {
    sem_destroy(&watchdog->started);
    if (watchdog->wake >= 0) close(watchdog->wake);
    for (int i = 0; i < 2; i++)
        if (watchdog->ends[i] >= 0) close(watchdog->ends[i]);
    free(watchdog);
}

static int start_thread(cre_watchdog *watchdog) {
    /* It takes no signals but those of the descriptor. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&watchdog->thread, NULL, run, watchdog);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result) return -result;
    while (sem_wait(&watchdog->started) && errno == EINTR) {
    }
    if (watchdog->result) pthread_join(watchdog->thread, NULL);
    return watchdog->result;
}

int cre_watchdog_start(const cre_watchdog_config *config, cre_watchdog **watchdog) {
    cre_watchdog *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->config = *config;
    made->wake = made->ends[0] = made->ends[1] = -1;
    sem_init(&made->started, 0, 0);
    int result = 0;
    made->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->wake < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, made->ends))
        result = -errno;
    if (!result) result = start_thread(made);
    if (result) {
        free_watchdog(made);
        return result;
    }
    *watchdog = made;
    return 0;
}

int cre_watchdog_descriptor(const cre_watchdog *watchdog) {
    return watchdog->ends[0];
}

int cre_watchdog_next(cre_watchdog *watchdog) {
    unsigned char number;
    return recv(watchdog->ends[0], &number, 1, MSG_DONTWAIT) == 1 ? number : 0;
}

void cre_watchdog_guard(cre_watchdog *watchdog, pid_t victim) {
    atomic_store(&watchdog->victim, victim);
    eventfd_write(watchdog->wake, 1);
}

uint32_t cre_watchdog_arm(cre_watchdog *watchdog) {
    arm(watchdog);
    eventfd_write(watchdog->wake, 1);
    int64_t left = atomic_load(&watchdog->limit) - now_ms();
    return left > 0 ? (uint32_t)left : 0;
}

void cre_watchdog_stop(cre_watchdog *watchdog) {
    atomic_store(&watchdog->is_over, true);
    eventfd_write(watchdog->wake, 1);
    pthread_join(watchdog->thread, NULL);
    free_watchdog(watchdog);
}
