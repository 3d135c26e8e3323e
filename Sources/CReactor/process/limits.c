/* Limits of a process: CPUs and descriptors. */
#include <creactor/internal/process.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

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
