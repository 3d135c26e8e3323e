// wsload: closed-loop load generator for WebSocket, raw TCP and HTTP servers. One thread, one epoll, no
// dependency.
//
//   wsload -p PORT [-c CONNS] [-P PIPELINE] [-s SIZE] [-t SECS]   WebSocket echo
//   wsload -p PORT --tcp ...                                     raw TCP echo
//   wsload -p PORT --http -u /hello ...                          HTTP GET, keep-alive
//   wsload -p PORT --broadcast ...       1 publisher and CONNS subscribers; the server sends each message
//                                        that it receives to all of them
//   wsload -p PORT,PORT --broadcast ...  the subscribers take turns between servers, which exchange messages
//   wsload -p PORT,PORT --broadcast --others PORT ...  a further server with as many subscribers, which may
//   be
//                                        slow: what they get is read, and not measured
//   wsload -p PORT --idle [--touch] ...  CONNS idle connections: server memory for each
//
// Every connection keeps PIPELINE messages in flight: k answers read at once are followed by k new messages
// in one send. Each message carries a stamp of connection and sequence number, so a lost, reordered or
// crossed one is an error; --verify compares all payload bytes too. HTTP responses must be 200 and have the
// length and the body of the first one.
//
// Server cost: process CPU clocks (ns) of --pids and --pgid with all their descendants, sampled at both ends
// of the measured window; the user/sys split comes from /proc/PID/stat, context switches from
// /proc/PID/task/TID/status. Memory is summed at the end of the window with the connections still open.
//
// Exit status: 0 fine, 1 usage, 2 could not connect or shake hands, 3 bad answer, 4 stalled (no progress for
// 10 s), 5 the server closed a connection.
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "wsload.h"

struct options opt = {
    .host = "127.0.0.1",
    .path = "/",
    .label = "",
    .conns = 50,
    .pipeline = 1,
    .measure_ms = 5000,
    .warm_ms = 1000,
    .settle_ms = 1500,
    .cpu = -1,
    .server_cpu = -1,
    .size = 64,
};
struct counters count;
uint64_t now, last_progress, publishing_since, published_done;
uint32_t *subscribers_left;
bool measuring;

void die(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "wsload: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    _exit(code);
}

void *zalloc(size_t n, size_t size) {
    void *memory = calloc(n ? n : 1, size ? size : 1);
    if (!memory) die(EXIT_USAGE, "out of memory");
    return memory;
}

uint64_t clock_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

__attribute__((noreturn)) static void usage_text(void) {
    fputs(
        "usage: wsload -p PORT [options]\n"
        "  -H ADDR        server address (127.0.0.1)      -u PATH   request path (/)\n"
        "  -c CONNS       connections (50)                -P DEPTH  messages in flight per connection (1)\n"
        "  -s BYTES       payload size (64)               -t SECS   measured seconds (5)\n"
        "  -w SECS        warm-up (1)                     -x CPU    pin this process to CPU\n"
        "  --tcp          raw TCP echo                    --http    keep-alive GET of PATH\n"
        "  --text         text messages (binary)          --verify  compare all payload bytes\n"
        "  --first TEXT   sent first; its reply opens the connection, and payloads are found in text messages\n"
        "  --rate N       messages published in a second  --others PORT  of a server that is not measured\n"
        "  --before TEXT  and --after TEXT: around published payloads, with --first\n"
        "  --broadcast    CONNS subscribers, 1 publisher  --idle    CONNS idle connections: memory\n"
        "  --touch        with --idle: one echo each      --settle SECS  with --idle: wait before measuring\n"
        "  --pids A,B,C   server processes                --pgid N  server process group\n"
        "  --spin         never sleep in epoll_wait       --label TEXT\n"
        "  --server-cpu N report how busy that CPU was    --json    one JSON line\n",
        stderr);
    exit(EXIT_USAGE);
}

enum {
    LONG_TCP = 256,
    LONG_HTTP,
    LONG_TEXT,
    LONG_VERIFY,
    LONG_JSON,
    LONG_BROADCAST,
    LONG_IDLE,
    LONG_TOUCH,
    LONG_SETTLE,
    LONG_PIDS,
    LONG_PGID,
    LONG_LABEL,
    LONG_SERVER_CPU,
    LONG_SPIN,
    LONG_FIRST,
    LONG_BEFORE,
    LONG_AFTER,
    LONG_RATE,
    LONG_OTHERS,
};

static const struct option long_options[] = {
    { "tcp", no_argument, NULL, LONG_TCP },
    { "http", no_argument, NULL, LONG_HTTP },
    { "text", no_argument, NULL, LONG_TEXT },
    { "verify", no_argument, NULL, LONG_VERIFY },
    { "json", no_argument, NULL, LONG_JSON },
    { "broadcast", no_argument, NULL, LONG_BROADCAST },
    { "idle", no_argument, NULL, LONG_IDLE },
    { "touch", no_argument, NULL, LONG_TOUCH },
    { "settle", required_argument, NULL, LONG_SETTLE },
    { "pids", required_argument, NULL, LONG_PIDS },
    { "pgid", required_argument, NULL, LONG_PGID },
    { "label", required_argument, NULL, LONG_LABEL },
    { "server-cpu", required_argument, NULL, LONG_SERVER_CPU },
    { "spin", no_argument, NULL, LONG_SPIN },
    { "first", required_argument, NULL, LONG_FIRST },
    { "before", required_argument, NULL, LONG_BEFORE },
    { "after", required_argument, NULL, LONG_AFTER },
    { "rate", required_argument, NULL, LONG_RATE },
    { "others", required_argument, NULL, LONG_OTHERS },
    { NULL, 0, NULL, 0 },
};

static int milliseconds(const char *seconds) {
    return (int)(atof(seconds) * 1000);
}

static int parse_numbers(char *list, int *numbers, int capacity) {
    int n = 0;
    for (char *p = strtok(list, ","); p; p = strtok(NULL, ",")) {
        if (n == capacity) die(EXIT_USAGE, "more than %d numbers", capacity);
        numbers[n++] = atoi(p);
    }
    return n;
}

static bool ports_valid(void) {
    for (int i = 0; i < opt.nports; i++)
        if (opt.ports[i] < 1 || opt.ports[i] > 65535) return false;
    return opt.nports > 0;
}

static void parse_option(int option) {
    switch (option) {
    case 'H': opt.host = optarg; break;
    case 'p': opt.nports = parse_numbers(optarg, opt.ports, MAX_PORTS); break;
    case 'u': opt.path = optarg; break;
    case 'c': opt.conns = atoi(optarg); break;
    case 'P': opt.pipeline = atoi(optarg); break;
    case 's': opt.size = strtoull(optarg, NULL, 10); break;
    case 't': opt.measure_ms = milliseconds(optarg); break;
    case 'w': opt.warm_ms = milliseconds(optarg); break;
    case 'x': opt.cpu = atoi(optarg); break;
    case LONG_TCP: opt.protocol = PROTOCOL_TCP; break;
    case LONG_HTTP: opt.protocol = PROTOCOL_HTTP; break;
    case LONG_TEXT: opt.text = true; break;
    case LONG_VERIFY: opt.verify = true; break;
    case LONG_JSON: opt.json = true; break;
    case LONG_BROADCAST: opt.mode = MODE_BROADCAST; break;
    case LONG_IDLE: opt.mode = MODE_IDLE; break;
    case LONG_TOUCH: opt.touch = true; break;
    case LONG_SETTLE: opt.settle_ms = milliseconds(optarg); break;
    case LONG_PIDS: opt.npids = parse_numbers(optarg, opt.pids, MAX_PIDS); break;
    case LONG_PGID: opt.pgid = atoi(optarg); break;
    case LONG_SPIN: opt.spin = true; break;
    case LONG_LABEL: opt.label = optarg; break;
    case LONG_FIRST: opt.first = optarg; break;
    case LONG_BEFORE: opt.before = optarg; break;
    case LONG_AFTER: opt.after = optarg; break;
    case LONG_RATE: opt.rate = atoi(optarg); break;
    case LONG_OTHERS: opt.other_port = atoi(optarg); break;
    case LONG_SERVER_CPU: opt.server_cpu = atoi(optarg); break;
    default: usage_text();
    }
}

static bool options_valid(void) {
    return ports_valid() && opt.conns >= 1 && opt.conns <= 1000000 && opt.pipeline >= 1 &&
           opt.pipeline <= 65536 && opt.size >= 1 && opt.size <= 1ull << 30 && opt.measure_ms >= 1 &&
           opt.warm_ms >= 0 && opt.settle_ms >= 0 &&
           (opt.mode != MODE_BROADCAST || opt.protocol == PROTOCOL_WS) && opt.rate >= 0 &&
           ((opt.mode == MODE_BROADCAST && !opt.first) || (!opt.rate && !opt.other_port)) &&
           (!opt.first || (opt.mode == MODE_BROADCAST && !opt.verify && opt.size >= 16)) &&
           (opt.first || (!opt.before && !opt.after)) &&
           (opt.mode != MODE_IDLE || !opt.touch || opt.protocol != PROTOCOL_HTTP);
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    rlim_t need = (rlim_t)opt.conns + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < need) limit.rlim_cur = limit.rlim_max = need;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        die(EXIT_USAGE, "cannot have %llu descriptors", (unsigned long long)need);
}

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) die(EXIT_USAGE, "cannot pin to cpu %d", cpu);
}

static void start_broadcast(void) {
    subscribers_left = zalloc((size_t)opt.pipeline, sizeof *subscribers_left);
    publisher = &conns[opt.conns];
    frames_ring(publisher);
    now = clock_ns();
    // The server's open handlers subscribe meanwhile, several servers also at each other.
    run_until(now + (opt.nports > 1 ? 1500000000ull : 300000000ull));
    publishing_since = now;
    publish_more();
}

static void start_echo(void) {
    for (int i = 0; i < nconns; i++)
        frames_ring(&conns[i]);
    for (int i = 0; i < nconns; i++) {
        now = clock_ns();
        frames_queue(&conns[i], (unsigned)opt.pipeline);
        frames_flush(&conns[i]);
    }
}

int main(int argc, char **argv) {
    for (int o; (o = getopt_long(argc, argv, "H:p:u:c:P:s:t:w:x:", long_options, NULL)) != -1;)
        parse_option(o);
    if (!options_valid() || optind != argc) usage_text();
    if (opt.mode == MODE_IDLE) opt.pipeline = 1;
    if (opt.first) {
        opt.text = true;
        if (!opt.before) opt.before = "";
        if (!opt.after) opt.after = "";
    }
    if (opt.mode != MODE_BROADCAST && (double)opt.conns * opt.pipeline * (double)(opt.size + 14) > 4e9) {
        die(EXIT_USAGE, "more than 4 GB of frames");
    }
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    if (opt.cpu >= 0) pin(opt.cpu);
    int open_ms = 10000 + opt.conns * 2;
    // Whatever happens, it ends.
    alarm((unsigned)((open_ms + opt.warm_ms + opt.measure_ms + opt.settle_ms) / 1000 + 30));

    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    frames_prepare();
    receive_prepare();
    if (opt.other_port) opt.nothers = opt.conns / opt.nports;
    nconns = opt.conns + (opt.mode == MODE_BROADCAST) + opt.nothers;
    conns = zalloc((size_t)nconns, sizeof *conns);
    if (opt.mode == MODE_IDLE) {
        measure_idle();
        return EXIT_FINE;
    }
    open_all(open_ms);
    if (opt.mode == MODE_BROADCAST)
        start_broadcast();
    else
        start_echo();
    last_progress = now = clock_ns();
    run_until(now + (uint64_t)opt.warm_ms * 1000000ull);
    measure_window();
    return EXIT_FINE;
}
