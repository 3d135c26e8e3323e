/* Limits of a process: CPUs and descriptors. */
#include <creactor/internal/process.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_CPUS = 8192 }; /* the most that a kernel can be built for */

typedef union cpu_mask {
    cpu_set_t set;
    unsigned char bytes[MAX_CPUS / 8];
} cpu_mask;

int cre_process_cpus(int *cpus, size_t capacity) {
    cpu_mask mask;
    memset(&mask, 0, sizeof mask);
    if (sched_getaffinity(0, sizeof mask, &mask.set)) return -errno;
    size_t count = 0;
    for (int cpu = 0; cpu < MAX_CPUS && count < capacity; cpu++)
        if (CPU_ISSET_S(cpu, sizeof mask, &mask.set)) cpus[count++] = cpu;
    return (int)count;
}

int cre_thread_pin(int cpu) {
    cpu_mask mask;
    memset(&mask, 0, sizeof mask);
    if (cpu < 0 || cpu >= MAX_CPUS) return -EINVAL;
    CPU_SET_S(cpu, sizeof mask, &mask.set);
    return sched_setaffinity(0, sizeof mask, &mask.set) ? -errno : 0;
}

long long cre_process_allow_descriptors(long long wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return -errno;
    rlim_t before = limit.rlim_cur, most = limit.rlim_max;
    if (before < (rlim_t)wanted && before < most) {
        limit.rlim_cur = most < (rlim_t)wanted ? most : (rlim_t)wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit)) limit.rlim_cur = before;
    }
    return limit.rlim_cur == RLIM_INFINITY ? wanted : (long long)limit.rlim_cur;
}

/* ---- memory ---- */

/* Reads the number in a file; UINT64_MAX when there is none, which is what "max" means, too. */
static uint64_t read_number(const char *path) {
    char text[64];
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return UINT64_MAX;
    ssize_t length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    if (length <= 0 || text[0] < '0' || text[0] > '9') return UINT64_MAX;
    text[length] = 0;
    return strtoull(text, NULL, 10);
}

/* The limit of the control group in one line of /proc/self/cgroup, or of a group above it. */
static uint64_t group_limit(char *line) {
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return UINT64_MAX;
    *group++ = 0;
    group[strcspn(group, "\n")] = 0;
    bool unified = !controllers[1]; /* version 2 */
    if (!unified && strcmp(controllers + 1, "memory") != 0) return UINT64_MAX;
    uint64_t limit = UINT64_MAX;
    for (;;) {
        char path[4200];
        snprintf(path, sizeof path, "/sys/fs/cgroup%s%s/%s", unified ? "" : "/memory", group,
                 unified ? "memory.max" : "memory.limit_in_bytes");
        uint64_t here = read_number(path);
        if (here < limit) limit = here;
        char *end = strrchr(group, '/');
        if (!end || !*group) return limit;
        *end = 0;
    }
}

uint64_t cre_process_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 1ull << 30;
    FILE *groups = fopen("/proc/self/cgroup", "re");
    char line[4096];
    while (groups && fgets(line, sizeof line, groups)) {
        uint64_t limit = group_limit(line);
        if (limit < memory) memory = limit;
    }
    if (groups) fclose(groups);
    return memory;
}
