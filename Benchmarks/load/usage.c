// What the server costs, from /proc: the processes asked for, their group, and all descendants.
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wsload.h"

#define MAX_PROCESSES 8192

static bool slurp(const char *path, char *text, size_t capacity) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t n = 0;
    while (n < capacity - 1) {
        ssize_t r = read(fd, text + n, capacity - 1 - n);
        if (r <= 0) break;
        n += (size_t)r;
    }
    close(fd);
    text[n] = 0;
    return n > 0;
}

static uint64_t field(const char *text, const char *name) {
    const char *p = strstr(text, name);
    return p ? strtoull(p + strlen(name), NULL, 10) : 0;
}

struct process {
    int pid, parent, group;
};

static int all_processes(struct process *all) {
    int n = 0;
    DIR *d = opendir("/proc");
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d)) && n < MAX_PROCESSES;) {
        if (!isdigit((unsigned char)e->d_name[0])) continue;
        char path[64], text[1024], state;
        snprintf(path, sizeof path, "/proc/%.20s/stat", e->d_name);
        if (!slurp(path, text, sizeof text)) continue;
        const char *after_name = strrchr(text, ')');
        struct process *p = &all[n];
        if (!after_name || sscanf(after_name + 1, " %c %d %d", &state, &p->parent, &p->group) != 3) continue;
        if (state == 'Z') continue;
        p->pid = atoi(e->d_name);
        n++;
    }
    closedir(d);
    return n;
}

static bool contains(const int *pids, int n, int pid) {
    for (int i = 0; i < n; i++) {
        if (pids[i] == pid) return true;
    }
    return false;
}

static int server_pids(int *out) {
    static struct process all[MAX_PROCESSES];
    if (!opt.npids && !opt.pgid) return 0;
    int n = all_processes(all), found = 0, self = getpid();
    for (int i = 0; i < n && found < MAX_PIDS; i++) {
        bool hit = (opt.pgid && all[i].group == opt.pgid) || contains(opt.pids, opt.npids, all[i].pid);
        if (hit && all[i].pid != self) out[found++] = all[i].pid;
    }
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < n && found < MAX_PIDS; i++) {
            if (all[i].pid == self || contains(out, found, all[i].pid)) continue;
            if (!contains(out, found, all[i].parent)) continue;
            out[found++] = all[i].pid;
            more = true;
        }
    }
    return found;
}

static void add_threads(struct usage *u, int pid) {
    char path[96], text[8192];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        if (!isdigit((unsigned char)e->d_name[0])) continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", pid, e->d_name);
        if (!slurp(path, text, sizeof text)) continue;
        u->nthread++;
        u->ctx_voluntary += field(text, "\nvoluntary_ctxt_switches:");
        u->ctx_involuntary += field(text, "\nnonvoluntary_ctxt_switches:");
    }
    closedir(d);
}

static void add_memory(struct usage *u, int pid) {
    char path[96], text[8192];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    if (slurp(path, text, sizeof text)) {
        u->rss_kb += field(text, "\nVmRSS:");
        u->hwm_kb += field(text, "\nVmHWM:");
    }
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    if (slurp(path, text, sizeof text)) {
        u->pss_kb += field(text, "\nPss:");
        u->uss_kb += field(text, "\nPrivate_Clean:") + field(text, "\nPrivate_Dirty:");
    }
}

struct usage server_usage(bool memory) {
    struct usage u = { 0 };
    int pids[MAX_PIDS], n = server_pids(pids);
    for (int i = 0; i < n; i++) {
        clockid_t clock;
        struct timespec ts;
        if (clock_getcpuclockid(pids[i], &clock) || clock_gettime(clock, &ts)) continue;
        u.pids[u.nproc] = pids[i];
        u.pid_ns[u.nproc] = (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
        u.cpu_ns += u.pid_ns[u.nproc++];
        char path[96], text[1024];
        snprintf(path, sizeof path, "/proc/%d/stat", pids[i]);
        if (slurp(path, text, sizeof text)) {
            unsigned long long user = 0, sys = 0;
            const char *p = strrchr(text, ')');
            if (p &&
                sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &sys) == 2) {
                u.user_ticks += user;
                u.sys_ticks += sys;
            }
        }
        add_threads(&u, pids[i]);
        if (memory) add_memory(&u, pids[i]);
    }
    return u;
}

struct cpu_ticks cpu_ticks(int cpu) {
    static char text[65536];
    struct cpu_ticks ticks = { { 0 } };
    char name[24];
    if (cpu < 0)
        snprintf(name, sizeof name, "cpu ");
    else
        snprintf(name, sizeof name, "\ncpu%d ", cpu);
    if (!slurp("/proc/stat", text, sizeof text)) return ticks;
    char *p = strstr(text, name);
    if (!p) return ticks;
    p += strlen(name);
    for (int i = 0; i < 10; i++)
        ticks.field[i] = strtoull(p, &p, 10);
    return ticks;
}

// Bytes of kernel memory that TCP holds for buffers, of the whole machine.
uint64_t tcp_memory(void) {
    char text[2048];
    if (!slurp("/proc/net/sockstat", text, sizeof text)) return 0;
    const char *p = strstr(text, "TCP:");
    p = p ? strstr(p, " mem ") : NULL;
    return p ? strtoull(p + 5, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
