#include <creactor/internal/process.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What this process takes by cre_signals_open, and what its thread blocked before. */
static sigset_t watched, blocked_before;

/* The thread that takes them from all others; 0: it does not. */
static pid_t taker;
static struct sigaction actions_before[NSIG];

int cre_process_threads(void) {
    /* Needs no descriptor, so that a process at its limit can still fork: a directory has one link for each
     * directory in it, and two more. Some other systems with the files of Linux do not count them. */
    struct stat tasks;
    if (!stat("/proc/self/task", &tasks) && tasks.st_nlink > 2) return (int)tasks.st_nlink - 2;
    DIR *directory = opendir("/proc/self/task");
    const int error = directory ? ENOENT : errno;
    int count = 0;
    if (directory) {
        for (struct dirent *entry; (entry = readdir(directory));)
            count += entry->d_name[0] != '.';
        closedir(directory);
    }
    if (count || error != ENOENT) return count ? count : -error;
    /* Without /proc the C library knows whether there has ever been another thread. */
    return __libc_single_threaded ? 1 : -ENOENT;
}

static void child_prologue(pid_t parent) {
    /* The parent may have set any mask and any handler. Handlers with a stack of their own are kept: they
     * report crashes (the Swift runtime's) and work in the child, too. */
    struct sigaction standard = { .sa_handler = SIG_DFL };
    for (int number = 1; number < NSIG; number++) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_DFL && !(now.sa_flags & SA_ONSTACK))
            sigaction(number, &standard, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    /* The child will open the parent's signals, too; one that arrives before must wait instead of killing it.
     * SIGCHLD is not blocked, because other code may depend on it. */
    sigset_t blocked = watched;
    sigdelset(&blocked, SIGCHLD);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    cre_process_end_with_parent(parent);
}

pid_t cre_process_fork(void) {
    fflush(NULL);
    pid_t parent = getpid();
    /* Signals wait until the child has reset its handlers: one in between would run the parent's.
     */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    if (child == 0) {
        child_prologue(parent);
        return 0;
    }
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return child < 0 ? -error : child;
}

void cre_process_end_with_parent(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0); /* it died before the line above */
}

void cre_process_exit(int code) {
    fflush(NULL);
    _exit(code);
}

bool cre_process_reap(cre_process_end *end) {
    int status;
    pid_t pid;
    do
        pid = waitpid(-1, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid <= 0) return false;
    *end = (cre_process_end){ .pid = pid };
    if (WIFSIGNALED(status))
        end->signal = WTERMSIG(status);
    else
        end->code = WEXITSTATUS(status);
    return true;
}

pid_t cre_process_parent(pid_t pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) return -errno;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    const char *at = strrchr(text, ')'); /* the name is followed by state and parent */
    int parent;
    return at && sscanf(at + 1, " %*c %d", &parent) == 1 ? (pid_t)parent : -ESRCH;
}

static int ascending(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

int cre_process_descriptors(int *descriptors, size_t capacity) {
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) return -errno;
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) && count < capacity;) {
        if (entry->d_name[0] == '.') continue;
        int descriptor = atoi(entry->d_name);
        if (descriptor != dirfd(directory)) descriptors[count++] = descriptor;
    }
    closedir(directory);
    qsort(descriptors, count, sizeof *descriptors, ascending);
    return (int)count;
}

void cre_process_close_others(const int *keep, size_t count) {
    unsigned from = 3;
    for (size_t i = 0; i < count; i++) {
        if (keep[i] < (int)from) continue; /* unset entries are negative */
        unsigned open = (unsigned)keep[i];
        if (open > from) close_range(from, open - 1, 0);
        from = open + 1;
    }
    close_range(from, ~0u, 0);
}

int cre_signals_open(const int *signals, size_t count) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++)
        sigaddset(&set, signals[i]);
    int descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (descriptor < 0) return -errno;
    int result = pthread_sigmask(SIG_BLOCK, &set, &blocked_before);
    if (!result) {
        watched = set;
        taker = 0; /* a parent's */
        return descriptor;
    }
    close(descriptor);
    return -result;
}

static void pass_on(int signal) {
    int error = errno;
    tgkill(getpid(), taker, signal);
    errno = error;
}

int cre_signals_take_from_threads(int descriptor) {
    (void)descriptor;
    struct sigaction action = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
    sigfillset(&action.sa_mask);
    taker = gettid();
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&watched, number) == 1 && sigaction(number, &action, &actions_before[number]))
            return -errno;
    return 0;
}

void cre_signals_close(int descriptor) {
    while (cre_signals_next(descriptor) > 0) {
    }
    close(descriptor);
    sigset_t unblocked;
    sigemptyset(&unblocked);
    for (int number = 1; number < NSIG; number++) {
        if (sigismember(&watched, number) != 1) continue;
        if (taker) sigaction(number, &actions_before[number], NULL);
        if (sigismember(&blocked_before, number) != 1) sigaddset(&unblocked, number);
    }
    taker = 0;
    pthread_sigmask(SIG_UNBLOCK, &unblocked, NULL);
    sigemptyset(&watched);
}

int cre_signals_next(int descriptor) {
    int value;
    return cre_signals_next_value(descriptor, &value);
}

int cre_signals_next_value(int descriptor, int *value) {
    struct signalfd_siginfo info;
    *value = 0;
    ssize_t got;
    do
        got = read(descriptor, &info, sizeof info);
    while (got < 0 && errno == EINTR);
    if (got == sizeof info) {
        if (info.ssi_code == SI_QUEUE) *value = info.ssi_int;
        return (int)info.ssi_signo;
    }
    return got < 0 && errno != EAGAIN ? -errno : 0;
}

void cre_process_send(pid_t process, int signal, int value) {
    union sigval with = { .sival_int = value };
    if (sigqueue(process, signal, with) && errno == EAGAIN) kill(process, signal);
}

void cre_process_line_buffered(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
}
