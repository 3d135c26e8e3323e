/* Switching user and groups: of a process for good, or of a thread for the files it opens. */
#include <creactor/internal/process.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whether a text is a user or group number. */
static bool is_number(const char *text, unsigned *number) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value >= UINT_MAX) return false;
    *number = (unsigned)value;
    return true;
}

static int find_user(cre_identity *identity, const char *name) {
    unsigned number = 0;
    errno = 0;
    const struct passwd *entry = getpwnam(name);
    if (!entry && is_number(name, &number)) entry = getpwuid(number);
    if (!entry) return -ENOENT;
    identity->user = entry->pw_uid;
    identity->group = entry->pw_gid;
    int count = CRE_MAX_GROUPS;
    if (getgrouplist(entry->pw_name, entry->pw_gid, identity->groups, &count) < 0) return -E2BIG;
    identity->group_count = (unsigned)count;
    identity->has_user = identity->has_group = true;
    return 0;
}

static int find_group(cre_identity *identity, const char *name) {
    unsigned number = 0;
    const struct group *entry = getgrnam(name);
    if (!entry && is_number(name, &number)) entry = getgrgid(number);
    if (!entry) return -ENOENT;
    identity->group = entry->gr_gid;
    identity->has_group = true;
    if (!identity->group_count) identity->groups[identity->group_count++] = entry->gr_gid;
    return 0;
}

int cre_identity_find(const char *user, const char *group, cre_identity *identity) {
    memset(identity, 0, sizeof *identity);
    int result = user ? find_user(identity, user) : 0;
    if (!result && group) result = find_group(identity, group);
    return result;
}

static int enter(const char *root) {
    return root && (chroot(root) || chdir("/")) ? -errno : 0;
}

int cre_identity_switch(const cre_identity *identity, const char *root) {
    pid_t parent = getppid();
    int end_signal = 0;
    prctl(PR_GET_PDEATHSIG, &end_signal);
    int result = enter(root);
    if (result) return result;
    if (identity->has_group && (setgroups(identity->group_count, identity->groups) ||
                                setresgid(identity->group, identity->group, identity->group)))
        return -errno;
    if (identity->has_user && setresuid(identity->user, identity->user, identity->user)) return -errno;
    /* Check that there is no way back to root. */
    if (identity->has_user && identity->user && (!setuid(0) || !seteuid(0))) return -EPERM;
    /* A change of the user clears it. */
    prctl(PR_SET_PDEATHSIG, end_signal);
    if (end_signal && getppid() != parent) _exit(0); /* it died before the line above */
    return 0;
}

int cre_identity_switch_files(const cre_identity *identity, const char *root) {
    if (root && unshare(CLONE_FS)) return -errno;
    int result = enter(root);
    if (result) return result;
    /* System calls, because the functions of the C library change all threads of the process. */
#ifdef SYS_setgroups32
    const long set_groups = SYS_setgroups32;
#else
    const long set_groups = SYS_setgroups;
#endif
    if (identity->has_group) {
        if (syscall(set_groups, (size_t)identity->group_count, identity->groups)) return -errno;
        setfsgid(identity->group);
        if ((gid_t)setfsgid((gid_t)-1) != identity->group) return -EPERM;
    }
    if (identity->has_user) {
        setfsuid(identity->user);
        if ((uid_t)setfsuid((uid_t)-1) != identity->user) return -EPERM;
    }
    return 0;
}
