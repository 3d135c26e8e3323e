/*
 * Processes: what a master, a manager and their workers need of the system and Swift cannot say itself.
 *
 * Nothing here keeps state except the process title and which signals are watched. Linux.
 */
#ifndef CREACTOR_PROCESS_H
#define CREACTOR_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../export.h"

CRE_BEGIN_DECLS

/** How many threads this process has; only a process with one may fork safely. Negative: an error. */
CRE_API int cre_process_threads(void);

/**
 * Forks. Buffered output is written first, so that it does not appear twice. The child starts with no blocked
 * signal but those of cre_signals_open, which wait for the child to open them, too (all but SIGCHLD), default
 * handlers (SIGPIPE ignored; those on a stack of their own, which report crashes, stay), and is killed when
 * the thread that forked it ends. Returns the child's pid, 0 in the child, or a negative error.
 */
CRE_API pid_t cre_process_fork(void);

/**
 * Replaces this process by the program `path` with `arguments`, which end with NULL. Descriptors of `keep`
 * stay open, whatever was said of them; `variable` is set to `value` in its environment. It keeps what
 * signals do and which are blocked, and is still killed when its parent dies. Returns only on failure: a
 * negative error.
 */
CRE_API int cre_process_execute(const char *path, char *const *arguments, const int *keep, size_t count,
                                const char *variable, const char *value);

/** Ends a forked child: buffered output is written, but nothing that the parent registered for its exit runs.
 */
CRE_API void cre_process_exit(int code) __attribute__((noreturn));

/** What `ps` shows. Call it once early with NULL to make room: that copies the environment elsewhere. A title
 * that does not fit is cut. */
CRE_API void cre_process_set_title(const char *title);

typedef struct cre_process_end {
    pid_t pid;
    int code;   /* exit code, when signal is 0 */
    int signal; /* 0, or what killed it */
} cre_process_end;

/** Takes one child that has ended, without waiting. False: none has. */
CRE_API bool cre_process_reap(cre_process_end *end);

/** The parent of a process, negative when there is no such process. */
CRE_API pid_t cre_process_parent(pid_t pid);

/** Fills `descriptors` with the open ones in ascending order, at most `capacity`. Returns how many, or an
 * error. */
CRE_API int cre_process_descriptors(int *descriptors, size_t capacity);

/** Closes all descriptors from 3 on but those in `keep` (ascending; negative entries count for nothing). */
CRE_API void cre_process_close_others(const int *keep, size_t count);

/** Blocks `signals` for this thread, and those that it starts, and returns a descriptor that tells of them.
 * The caller closes it. Negative: an error. */
CRE_API int cre_signals_open(const int *signals, size_t count);

/** Passes the signals of `descriptor` on to the calling thread, which has opened it, when they reach a thread
 * of the process that does not block them: one that was started before. Until cre_signals_close. Returns 0 or
 * an error. */
CRE_API int cre_signals_take_from_threads(int descriptor);

/** The next signal from that descriptor, 0 when there is none, negative on an error. Does not wait. */
CRE_API int cre_signals_next(int descriptor);

/** Drops the signals that have come, closes the descriptor, and gives signals the effect that they had
 * before. Call it on the thread that opened it. */
CRE_API void cre_signals_close(int descriptor);

/** Goes on in the background: in a child of a child, in a session of its own, with / as the working
 * directory, standard input from /dev/null, standard output and standard error to `output`, or to /dev/null
 * when that is negative. Call it while there is one thread. It returns there, with a descriptor for
 * cre_daemon_report. The calling process does not come back: it waits for the report and ends, with 0, or
 * with 1 and the cause on standard error. A negative error (in the calling process): nothing has happened. */
CRE_API int cre_daemon_start(int output);

/** Tells the process that waits how it went: `cause` is NULL when all is well, else a text of at most 4,096
 * bytes. Closes the descriptor. SIGPIPE must be ignored: that process may have been killed. */
CRE_API void cre_daemon_report(int report, const char *cause);

/** Makes a flag that a process and the children it forks from here on share: any of them may raise it,
 * whoever they run as, and all see it. It is a descriptor, readable while the flag is raised; the caller
 * closes it. Negative: an error. */
CRE_API int cre_flag_create(void);

/** Raises a flag; raising it again changes nothing. Any thread. */
CRE_API void cre_flag_raise(int flag);

/** Whether a flag is raised. Any thread. */
CRE_API bool cre_flag_raised(int flag);

/** Lowers a flag. True: it was raised, and no other call has seen that. Any thread. */
CRE_API bool cre_flag_take(int flag);

/** Supplementary groups that an identity can have. */
#define CRE_MAX_GROUPS 256

/** Who a process, or a thread, can become. Plain data: it may be copied and needs no freeing. */
typedef struct cre_identity {
    uid_t user;
    gid_t group;
    gid_t groups[CRE_MAX_GROUPS];
    unsigned group_count;
    bool has_user, has_group; /* else it stays who it is */
} cre_identity;

/** Looks up a user, with its group and supplementary groups, and a group to have instead of that; names, or
 * numbers that the system knows, or NULL. Returns 0, -ENOENT for what is unknown, or -E2BIG when there are
 * too many groups. */
CRE_API int cre_identity_find(const char *user, const char *group, cre_identity *identity);

/** Becomes that one for good, in the root directory `root` if it is not NULL. For a process with one thread,
 * as root. It still dies with its parent, as a child of cre_process_fork does. On a negative error it may be
 * somebody in between, and must end. */
CRE_API int cre_identity_take(const cre_identity *identity, const char *root);

/** The same for the calling thread alone, and only for the files that it opens from here on. */
CRE_API int cre_identity_take_files(const cre_identity *identity, const char *root);

/** Fills `cpus` with those that this thread may run on, ascending, at most `capacity`. Returns how many, or
 * an error. */
CRE_API int cre_process_cpus(int *cpus, size_t capacity);

/** Has the calling thread, and those that it starts, run on one CPU. Returns 0 or an error. */
CRE_API int cre_thread_pin(int cpu);

/** Raises the limit of open descriptors to `wanted`, as far as the system allows. Never lowers it. Returns
 * what it is then, or a negative error. */
CRE_API long long cre_process_allow_descriptors(long long wanted);

/** Has malloc keep up to 16 MiB that were freed, instead of giving them back and asking for them again with
 * each large message. For processes that serve; it does nothing where malloc has no such settings. */
CRE_API void cre_process_keep_memory(void);

/** Standard output is written line by line from here on, also into a pipe. */
CRE_API void cre_process_line_buffered(void);

CRE_END_DECLS

#endif
