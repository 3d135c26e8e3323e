/*
 * Process management of a server: what a master, a manager and their workers need of Linux.
 *
 * The only state is the process title and the set of watched signals. Functions that return an int return a
 * negative error (a negated errno, or CRE_ENOMEM) on failure. They must be called while the process has one
 * thread, unless they are marked "any thread".
 */
#ifndef CREACTOR_PROCESS_H
#define CREACTOR_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../export.h"

CRE_BEGIN_DECLS

/** Returns the number of threads of this process; only a process with one thread may fork safely. Without
 * /proc it is 1 if there has never been another thread, else a negative error: the number is not known. Any
 * thread. */
CRE_NODISCARD CRE_API int cre_process_threads(void);

/**
 * Forks, after buffered output is written, so that it does not appear twice. In the child signals have their
 * default actions and are not blocked, with these exceptions: signals of cre_signals_open, other than
 * SIGCHLD, stay blocked until the child opens them; SIGPIPE is ignored; handlers with a stack of their own,
 * which report crashes, remain. The child is killed when the thread that forked it ends. Returns the child's
 * pid, 0 in the child, or an error.
 */
CRE_NODISCARD CRE_API pid_t cre_process_fork(void);

/**
 * Replaces this process by the program `path` with `arguments`, which end with NULL. The descriptors in
 * `keep` stay open even if they are close-on-exec; `variable` is set to `value` in the environment. Signal
 * dispositions and masks are kept, and the process is still killed when its parent dies. Returns an error on
 * failure only.
 */
CRE_NODISCARD CRE_API int cre_process_execute(const char *path, char *const *arguments, const int *keep,
                                              size_t count, const char *variable, const char *value);

/** Kills this process when its parent `parent` ends, as cre_process_fork does for its children. A program
 * whose file has capabilities must call it again. */
CRE_API void cre_process_end_with_parent(pid_t parent);

/** Ends a forked child: writes buffered output, but runs none of the exit handlers of its parent. Any thread.
 */
CRE_API void cre_process_exit(int code) __attribute__((noreturn));

/** Sets the title shown by `ps`; a title that does not fit is cut. It must be called once early with NULL to
 * make room, which copies the environment elsewhere. */
CRE_API void cre_process_set_title(const char *title);

/** Sends a message of `length` bytes to a datagram socket of another program, without waiting: to an absolute
 * path, or with a leading @ to an abstract name. Returns 0; -EINVAL or -ENAMETOOLONG for a name that is none;
 * or a system error. Any thread. */
CRE_NODISCARD CRE_API int cre_process_notify(const char *path, const void *message, size_t length);

typedef struct cre_process_end {
    pid_t pid;
    int code;   /* the exit code, when `signal` is 0 */
    int signal; /* the signal that killed the process, or 0 */
} cre_process_end;

/** Reaps one ended child without waiting. Returns false when there is none. Any thread. */
CRE_NODISCARD CRE_API bool cre_process_reap(cre_process_end *end);

/** The pid of the parent of a process, negative when there is no such process. Any thread. */
CRE_NODISCARD CRE_API pid_t cre_process_parent(pid_t pid);

/** Fills `descriptors` with at most `capacity` open ones in ascending order. Returns their number or an
 * error. Any thread. */
CRE_NODISCARD CRE_API int cre_process_descriptors(int *descriptors, size_t capacity);

/** Closes all descriptors from 3 on except those in `keep` (ascending; negative entries are ignored). */
CRE_API void cre_process_close_others(const int *keep, size_t count);

/** Blocks `signals` for this thread and those it starts, and returns a descriptor that receives them, or an
 * error. The caller closes it with cre_signals_close. */
CRE_NODISCARD CRE_API int cre_signals_open(const int *signals, size_t count);

/** Passes the signals of `descriptor` on to the calling thread, which has opened it, when they reach a thread
 * of the process that does not block them: one that was started before. Until cre_signals_close. Returns 0 or
 * an error. */
CRE_NODISCARD CRE_API int cre_signals_take_from_threads(int descriptor);

/** Reads the next signal of the descriptor without waiting. Returns its number, 0 when there is none, or an
 * error. Any thread. */
CRE_NODISCARD CRE_API int cre_signals_next(int descriptor);

/** As cre_signals_next, and sets *value to the value that cre_process_send has sent with the signal, or to 0.
 * Returns the same. Any thread. */
CRE_NODISCARD CRE_API int cre_signals_next_value(int descriptor, int *value);

/** Sends a signal with a value, which is lost when the system has no room for it. Any thread. */
CRE_API void cre_process_send(pid_t process, int signal, int value);

/** Discards pending signals, closes the descriptor, and gives signals the effect that they had before. On the
 * thread that opened it. */
CRE_API void cre_signals_close(int descriptor);

/** A thread that reads a process's signals and bounds the time of its stop, also when the main thread is
 * blocked. */
typedef struct cre_watchdog cre_watchdog;

typedef struct cre_watchdog_config {
    int signals;             /* of cre_signals_open; the watchdog reads it, and nobody else */
    int stop_flag;           /* a flag that requests a stop when it is raised; negative: none */
    bool takes_from_threads; /* see cre_signals_take_from_threads */
    uint32_t limit_ms;       /* the limit of a stop */
    uint32_t grace_ms;       /* the time after the limit in which processes are killed and the process ends */
    int exit_code;           /* of a process that is still there after the grace */
    /** The limit has passed and `pid` is killed. On the watchdog's thread. May be NULL. */
    void (*killing)(void *context, pid_t pid);
    /** The grace has passed and this process ends. On the watchdog's thread. May be NULL. */
    void (*exiting)(void *context);
    void *context;
} cre_watchdog_config;

/**
 * Starts a watchdog. A stop begins with SIGTERM, SIGINT, the flag or cre_watchdog_arm. Half a grace after the
 * limit the guarded process is killed; at the end of the grace this process exits, without waiting for
 * anything. A second SIGTERM or SIGINT kills the guarded process at once and sets the limit to that moment.
 * Returns 0 or an error.
 */
CRE_NODISCARD CRE_API int cre_watchdog_start(const cre_watchdog_config *config, cre_watchdog **watchdog);

/** A descriptor that is readable while there are signals for cre_watchdog_next. */
CRE_NODISCARD CRE_API int cre_watchdog_descriptor(const cre_watchdog *watchdog);

/** The next signal that was received, 0 when there is none. Does not wait. */
CRE_NODISCARD CRE_API int cre_watchdog_next(cre_watchdog *watchdog);

/** Sets the process that is killed when a stop exceeds its limit; 0: none. Any thread. */
CRE_API void cre_watchdog_guard(cre_watchdog *watchdog, pid_t victim);

/** Begins a stop, unless one has begun. Returns the milliseconds until its limit. Any thread. */
CRE_API uint32_t cre_watchdog_arm(cre_watchdog *watchdog);

/** Ends the thread and frees the watchdog: the stop is complete. */
CRE_API void cre_watchdog_stop(cre_watchdog *watchdog);

/**
 * Continues in the background: in a grandchild with its own session and / as its working directory, standard
 * input from /dev/null, and standard output and error to `output`, or to /dev/null when that is negative.
 * Returns there, with a descriptor for cre_daemon_report. The calling process does not return: it waits for
 * the report and exits with 0, or with 1 and the cause on standard error. An error is returned in the calling
 * process, and nothing has changed.
 */
CRE_NODISCARD CRE_API int cre_daemon_start(int output);

/** Reports the result of the start to the waiting process and closes the descriptor: `cause` is NULL on
 * success, else a text of at most 4,096 bytes. SIGPIPE must be ignored, since that process may have been
 * killed. Any thread. */
CRE_API void cre_daemon_report(int report, const char *cause);

/** Creates a flag shared with the children forked from here on; any of them may raise it, whatever user they
 * run as. Returns a descriptor, readable while the flag is raised, which the caller closes, or an error. Any
 * thread. */
CRE_NODISCARD CRE_API int cre_flag_create(void);

/** Raises a flag; raising it again changes nothing. Any thread. */
CRE_API void cre_flag_raise(int flag);

/** Whether a flag is raised. Any thread. */
CRE_NODISCARD CRE_API bool cre_flag_raised(int flag);

/** Lowers a flag. True: it was raised, and no other call has lowered it. Any thread. */
CRE_NODISCARD CRE_API bool cre_flag_lower(int flag);

/** The most supplementary groups of an identity. */
#define CRE_MAX_GROUPS 256

/** The user and groups that a process or thread can switch to. It may be copied and needs no freeing. */
typedef struct cre_identity {
    uid_t user;
    gid_t group;
    gid_t groups[CRE_MAX_GROUPS];
    unsigned group_count;
    bool has_user, has_group; /* false: unchanged */
} cre_identity;

/** Looks up a user with its group and supplementary groups, and a group that replaces the user's; names, or
 * numbers that the system knows, or NULL. Returns 0 and fills *identity, -ENOENT for an unknown name, or
 * -E2BIG for too many groups. Any thread. */
CRE_NODISCARD CRE_API int cre_identity_find(const char *user, const char *group, cre_identity *identity);

/** Switches the process to an identity for good, as root, and to the root directory `root` unless that is
 * NULL. A child of cre_process_fork is still killed when its parent dies. Returns 0 or an error, after which
 * the switch may be incomplete and the process must end. */
CRE_NODISCARD CRE_API int cre_identity_switch(const cre_identity *identity, const char *root);

/** Switches the calling thread alone to an identity, and only for files that it opens from here on.
 * Returns 0 or an error. Any thread. */
CRE_NODISCARD CRE_API int cre_identity_switch_files(const cre_identity *identity, const char *root);

/** Fills `cpus` with at most `capacity` CPUs that this thread may run on, ascending. Returns their number or
 * an error. Any thread. */
CRE_NODISCARD CRE_API int cre_process_cpus(int *cpus, size_t capacity);

/** Binds the calling thread, and those it starts, to one CPU. Returns 0 or an error. Any thread. */
CRE_NODISCARD CRE_API int cre_thread_pin(int cpu);

/** Raises the limit of open descriptors to `wanted`, as far as the system allows; it never lowers it. Returns
 * the limit or an error. Any thread. */
CRE_NODISCARD CRE_API long long cre_process_allow_descriptors(long long wanted);

/** The memory that the process may use, in bytes: that of the machine, or the limit of its control group if
 * that is lower. Any thread. */
CRE_API uint64_t cre_process_memory(void);

/** Makes malloc keep up to 16 MiB of freed memory instead of returning and requesting it with each large
 * message. It does nothing where malloc has no such settings. */
CRE_API void cre_process_keep_memory(void);

/**
 * Writes at most `length` bytes without waiting for a reader, and returns their number; -EAGAIN when there is
 * no room. At most 4,096 bytes are written to a pipe completely or not at all. `descriptor` is standard
 * output or error, whatever it leads to, or one that the caller has opened with O_NONBLOCK. The mode of an
 * inherited descriptor, which other programs may share, is not changed. SIGPIPE must be ignored. Any thread,
 * but one at a time.
 */
CRE_NODISCARD CRE_API ssize_t cre_output_write(int descriptor, const void *bytes, size_t length);

/** Waits at most `milliseconds` until cre_output_write has room. Returns whether there is room. Any thread.
 */
CRE_NODISCARD CRE_API bool cre_output_wait(int descriptor, int milliseconds);

/** Closes the descriptor that cre_output_write has opened, if any. */
CRE_API void cre_output_close(void);

/** Makes standard output line-buffered, also into a pipe. */
CRE_API void cre_process_line_buffered(void);

CRE_END_DECLS

#endif
