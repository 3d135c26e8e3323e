// The measured window and its report.
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "wsload.h"

// Histogram: 64 linear steps for each power of two, 1.6 % wide.
#define STEP_BITS 6
#define STEPS     (1u << STEP_BITS)
#define BUCKETS   ((64 - STEP_BITS) << STEP_BITS)

static struct {
    uint64_t bucket[BUCKETS], max, sum, count;
} latency;

void latency_add(uint64_t ns) {
    unsigned index = (unsigned)ns;
    if (ns >= STEPS) {
        unsigned exponent = 63 - (unsigned)__builtin_clzll(ns);
        index =
            ((exponent - STEP_BITS + 1) << STEP_BITS) + (unsigned)((ns >> (exponent - STEP_BITS)) - STEPS);
    }
    if (UNLIKELY(index >= BUCKETS)) index = BUCKETS - 1;
    latency.bucket[index]++;
    latency.count++;
    latency.sum += ns;
    if (ns > latency.max) latency.max = ns;
}

static double quantile_us(double q) {
    uint64_t want = (uint64_t)(q * (double)latency.count), seen = 0;
    if (want >= latency.count) want = latency.count ? latency.count - 1 : 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += latency.bucket[i];
        if (seen <= want) continue;
        if (i < STEPS) return ((double)i + 0.5) / 1e3;
        unsigned exponent = (i >> STEP_BITS) + STEP_BITS - 1, step = i & (STEPS - 1);
        double low = (double)((uint64_t)(STEPS + step) << (exponent - STEP_BITS));
        return (low + (double)(1ull << (exponent - STEP_BITS)) / 2) / 1e3;
    }
    return 0;
}

static const char *mode_name(void) {
    if (opt.mode == MODE_BROADCAST) return "broadcast";
    return opt.protocol == PROTOCOL_TCP ? "tcp" : opt.protocol == PROTOCOL_HTTP ? "http" : "ws";
}

static void print_memory(const char *name, struct usage u) {
    printf("%s: rss %.1f MiB, peak rss %.1f MiB, pss %.1f MiB, uss %.1f MiB, %d processes, %d threads\n",
           name, (double)u.rss_kb / 1024, (double)u.hwm_kb / 1024, (double)u.pss_kb / 1024,
           (double)u.uss_kb / 1024, u.nproc, u.nthread);
}

// Everything that is sampled at both ends of the window.
struct sample {
    uint64_t at;
    struct counters count;
    struct usage server;
    struct cpu_ticks server_cpu, machine;
    double self_ns;
};

static struct sample take_sample(void) {
    struct sample s;
    struct timespec self;
    s.server_cpu = cpu_ticks(opt.server_cpu);
    s.machine = cpu_ticks(-1);
    s.server = server_usage(false);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &self);
    s.self_ns = (double)self.tv_sec * 1e9 + (double)self.tv_nsec;
    s.count = count;
    s.at = clock_ns();
    return s;
}

struct figures {
    double seconds, messages, rate, cpu_ns, user_ns, sys_ns, contexts, calls;
    double others, server_cores, client_cores, busy, softirq, steal, foreign;
};

// In /proc/stat 1 is nice, 3 idle, 4 iowait, 6 softirq, 7 steal.
static struct figures differences(const struct sample *a, const struct sample *b) {
    struct figures f = { 0 };
    double tick = 1e9 / (double)sysconf(_SC_CLK_TCK);
    uint64_t messages = b->count.messages - a->count.messages;
    f.seconds = (double)(b->at - a->at) / 1e9;
    f.messages = (double)messages;
    f.rate = f.messages / f.seconds;
    f.others = (double)(b->count.others - a->count.others) / f.seconds;
    double m = messages ? f.messages : 1, per_core = tick / 1e9 / f.seconds;
    double cpu = (double)(b->server.cpu_ns - a->server.cpu_ns), self = b->self_ns - a->self_ns;
    f.cpu_ns = cpu / m;
    f.user_ns = (double)(b->server.user_ticks - a->server.user_ticks) * tick / m;
    f.sys_ns = (double)(b->server.sys_ticks - a->server.sys_ticks) * tick / m;
    f.contexts = (double)(b->server.ctx_voluntary - a->server.ctx_voluntary + b->server.ctx_involuntary -
                          a->server.ctx_involuntary) /
                 m;
    f.calls = (double)(b->count.recvs - a->count.recvs + b->count.sends - a->count.sends + b->count.waits -
                       a->count.waits) /
              m;
    f.server_cores = cpu / 1e9 / f.seconds;
    f.client_cores = self / 1e9 / f.seconds;
    double busy = 0, used = 0;
    for (int i = 0; i < 7; i++) {
        if (i == 3 || i == 4) continue;
        busy += (double)(b->server_cpu.field[i] - a->server_cpu.field[i]);
        if (i != 1) used += (double)(b->machine.field[i] - a->machine.field[i]);
    }
    f.steal = (double)(b->machine.field[7] - a->machine.field[7]) * per_core;
    // Cores used by neither the server, this process nor processes made nice.
    f.foreign = used * per_core - f.server_cores - f.client_cores;
    if (opt.server_cpu >= 0) {
        f.busy = busy * per_core;
        f.softirq = (double)(b->server_cpu.field[6] - a->server_cpu.field[6]) * per_core;
    }
    return f;
}

// The CPU time of each process that was there at both ends, for each message.
static void print_processes(const struct sample *a, const struct sample *b, double messages) {
    const char *separator = "";
    printf(",\"processes\":{");
    for (int i = 0; i < b->server.nproc; i++) {
        for (int j = 0; j < a->server.nproc; j++) {
            if (a->server.pids[j] != b->server.pids[i]) continue;
            double ns = (double)(b->server.pid_ns[i] - a->server.pid_ns[j]);
            printf("%s\"%d\":%.1f", separator, b->server.pids[i], ns / (messages > 0 ? messages : 1));
            separator = ",";
        }
    }
    printf("}");
}

static void print_json(const struct figures *f, struct usage memory) {
    double mean = latency.count ? (double)latency.sum / (double)latency.count / 1e3 : 0;
    printf("{\"label\":\"%s\",\"mode\":\"%s\",\"conns\":%d,\"pipeline\":%d,\"size\":%llu,\"secs\":%.3f,",
           opt.label, mode_name(), opt.conns, opt.pipeline, (unsigned long long)opt.size, f->seconds);
    printf("\"msgs\":%.0f,\"total_msgs\":%llu,\"rate\":%.0f,\"mbps\":%.1f,", f->messages,
           (unsigned long long)count.messages, f->rate, f->rate * (double)opt.size / 1e6);
    printf("\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"mean\":%.1f,", quantile_us(0.5),
           quantile_us(0.99), quantile_us(0.999), (double)latency.max / 1e3, mean);
    printf("\"cpu_ns\":%.1f,\"user_ns\":%.1f,\"sys_ns\":%.1f,\"server_cores\":%.3f,\"client_cores\":%.3f,",
           f->cpu_ns, f->user_ns, f->sys_ns, f->server_cores, f->client_cores);
    printf("\"server_cpu_busy\":%.3f,\"server_cpu_softirq\":%.3f,\"steal\":%.4f,\"foreign\":%.3f,", f->busy,
           f->softirq, f->steal, f->foreign);
    printf("\"ctx_per_msg\":%.4f,\"rss_kb\":%llu,\"hwm_kb\":%llu,\"pss_kb\":%llu,\"uss_kb\":%llu,",
           f->contexts, (unsigned long long)memory.rss_kb, (unsigned long long)memory.hwm_kb,
           (unsigned long long)memory.pss_kb, (unsigned long long)memory.uss_kb);
    if (opt.nothers) printf("\"others\":%.0f,", f->others);
    printf("\"nproc\":%d,\"nthread\":%d,\"client_syscalls_per_msg\":%.3f,\"pings\":%llu", memory.nproc,
           memory.nthread, f->calls, (unsigned long long)count.pings);
}

static void print_text(const struct figures *f, struct usage memory) {
    const char *unit = opt.mode == MODE_BROADCAST      ? "deliveries"
                       : opt.protocol == PROTOCOL_HTTP ? "responses"
                                                       : "messages";
    printf("%s %d conns x %d in flight x %llu B, %.2f s: %.0f %s\n", mode_name(), opt.conns, opt.pipeline,
           (unsigned long long)opt.size, f->seconds, f->messages, unit);
    printf("rate %.0f /s, payload %.1f MB/s each way\n", f->rate, f->rate * (double)opt.size / 1e6);
    printf("latency us: p50 %.1f  p99 %.1f  p99.9 %.1f  max %.1f\n", quantile_us(0.5), quantile_us(0.99),
           quantile_us(0.999), (double)latency.max / 1e3);
    printf(
        "server cpu %.0f ns per message (user %.0f, sys %.0f), %.3f cores, %.4f context switches per message\n",
        f->cpu_ns, f->user_ns, f->sys_ns, f->server_cores, f->contexts);
    printf("client %.3f cores, %.2f system calls per message; stolen %.3f cores, others %.3f cores\n",
           f->client_cores, f->calls, f->steal, f->foreign);
    print_memory("server", memory);
}

void measure_window(void) {
    struct sample a = take_sample();
    measuring = true;
    now = a.at;
    run_until(a.at + (uint64_t)opt.measure_ms * 1000000ull);
    struct sample b = take_sample();
    measuring = false;
    struct figures f = differences(&a, &b);
    struct usage memory = server_usage(true);
    if (!opt.json) {
        print_text(&f, memory);
        return;
    }
    print_json(&f, memory);
    print_processes(&a, &b, f.messages);
    printf("}\n");
}

// One echo on each connection: with MODE_IDLE nothing sends again.
static void touch_all(void) {
    for (int i = 0; i < nconns; i++) {
        frames_ring(&conns[i]);
        now = clock_ns();
        frames_queue(&conns[i], 1);
        frames_flush(&conns[i]);
        if ((i & 63) == 63) poll_once(0);
    }
    uint64_t end = clock_ns() + 20000000000ull;
    while (count.messages < (uint64_t)nconns) {
        poll_once(50);
        if (now > end) {
            die(EXIT_STALLED, "%llu of %d echoes", (unsigned long long)count.messages, nconns);
        }
    }
}

static double growth(uint64_t before_kb, uint64_t after_kb) {
    return ((double)after_kb - (double)before_kb) * 1024 / nconns;
}

void measure_idle(void) {
    struct usage a = server_usage(true);
    uint64_t kernel = tcp_memory(), started = clock_ns();
    open_all(10000 + opt.conns * 2);
    double open_ms = (double)(clock_ns() - started) / 1e6;
    if (opt.touch) touch_all();
    now = clock_ns();
    run_until(now + (uint64_t)opt.settle_ms * 1000000ull);

    struct usage b = server_usage(true);
    long long kernel_growth = (long long)(tcp_memory() - kernel);
    double rss = growth(a.rss_kb, b.rss_kb), pss = growth(a.pss_kb, b.pss_kb),
           uss = growth(a.uss_kb, b.uss_kb);
    double cpu = (double)(b.cpu_ns - a.cpu_ns) / nconns;
    if (opt.json) {
        printf("{\"label\":\"%s\",\"mode\":\"idle\",\"conns\":%d,\"touch\":%d,\"rss_per_conn\":%.0f,",
               opt.label, nconns, opt.touch, rss);
        printf(
            "\"pss_per_conn\":%.0f,\"uss_per_conn\":%.0f,\"rss0_kb\":%llu,\"pss0_kb\":%llu,\"rss_kb\":%llu,",
            pss, uss, (unsigned long long)a.rss_kb, (unsigned long long)a.pss_kb,
            (unsigned long long)b.rss_kb);
        printf("\"pss_kb\":%llu,\"open_ms\":%.0f,\"cpu_ns_per_open\":%.0f,\"kernel_tcp_mem\":%lld}\n",
               (unsigned long long)b.pss_kb, open_ms, cpu, kernel_growth);
        return;
    }
    printf("%d idle connections opened in %.0f ms, server cpu %.1f us each\n", nconns, open_ms, cpu / 1000);
    print_memory("before", a);
    print_memory("after ", b);
    printf("per connection: rss %.0f B, pss %.0f B, uss %.0f B\n", rss, pss, uss);
}
