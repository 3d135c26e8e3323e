// What the parts of the load generator share. One thread, so plain globals are enough.
#ifndef WSLOAD_H
#define WSLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define MAX_PIDS    512
#define MAX_PORTS   8

enum { EXIT_FINE, EXIT_USAGE, EXIT_CONNECT, EXIT_ECHO, EXIT_STALLED, EXIT_CLOSED };

enum protocol { PROTOCOL_WS, PROTOCOL_TCP, PROTOCOL_HTTP };
enum mode { MODE_ECHO, MODE_BROADCAST, MODE_IDLE };
enum state { STATE_CONNECTING, STATE_HANDSHAKE, STATE_GREETING, STATE_OPEN };

struct options {
    const char *host, *path, *label;
    const char *first, *before, *after; // of a protocol of the server's own; NULL: messages are payloads
    int ports[MAX_PORTS], nports, conns, pipeline;
    int measure_ms, warm_ms, settle_ms;
    int rate;                // of published messages in a second; 0: as soon as there is room in flight
    int other_port, nothers; // of a server with subscribers that are not measured
    int cpu, server_cpu;     // -1: any
    uint64_t size;           // payload of a message; for HTTP the body that the server answers with
    enum mode mode;
    enum protocol protocol;
    bool verify, text, json, touch, spin;
    int pids[MAX_PIDS], npids, pgid;
};

struct conn {
    int fd;
    uint32_t id;
    enum state state;
    bool want_out;

    // The WebSocket frame being received.
    bool in_frame, in_message, fin;
    uint8_t opcode;
    uint8_t head[14], head_have; // bytes of a frame head kept from the last read
    uint64_t frame_left;         // payload bytes of the frame still to come
    uint64_t message_have;       // payload bytes of the message received
    uint8_t stamp[8];            // first bytes of the message
    uint8_t control_payload[125];
    uint8_t pong[131], pong_length;

    uint64_t rx_seq;   // messages received
    uint64_t tx_seq;   // messages put into the ring
    uint64_t tx_bytes; // bytes put into the ring, since the start
    uint64_t tx_sent;  // bytes of them given to the kernel
    uint8_t *ring;     // as many frames as may be in flight
    uint64_t *sent_at; // one time stamp for each

    uint8_t *part; // handshake answer, HTTP response or message of a protocol so far
    size_t part_have;
};

// Counted from the first message on; the report takes differences.
struct counters {
    uint64_t messages, recvs, sends, waits, pings;
    uint64_t others; // bytes that the subscribers received that are not measured
};

extern struct options opt;
extern struct counters count;
extern struct conn *conns, *publisher;
extern int nconns, nopen, nstarted, poll_fd;
extern uint64_t now, last_progress;
extern uint64_t publishing_since;  // broadcast: when the first message was published
extern uint64_t published_done;    // broadcast: messages that all subscribers have
extern uint32_t *subscribers_left; // broadcast: one count for each message in flight
extern bool measuring;

// wsload.c
__attribute__((noreturn, format(printf, 2, 3))) void die(int code, const char *format, ...);
void *zalloc(size_t count, size_t size);
uint64_t clock_ns(void);

// frames.c: what is sent, built before the run
extern uint8_t *pattern; // the payload, unmasked, with what is before and after it
void frames_prepare(void);
void frames_ring(struct conn *c);
void frames_pong(struct conn *c, unsigned length);
void frames_send(struct conn *c, const char *text); // a text message, at once
void frames_queue(struct conn *c, unsigned n);
void frames_flush(struct conn *c);
uint64_t frames_stamp(uint32_t id, uint64_t seq);

// receive.c: what comes back
void receive_prepare(void);
void receive_handshake(struct conn *c);
void receive(struct conn *c);
void message_done(struct conn *c, const uint8_t *first8, uint64_t length);

// wrapped.c: messages inside those of a protocol of the server's own
#define WRAPPED_MAX 65536
void wrapped_open(struct conn *c);
void wrapped_received(struct conn *c);

// connect.c
bool is_other(const struct conn *c); // not measured
void watch(struct conn *c, bool out);
void opened(struct conn *c);
void open_all(int limit_ms);
void poll_once(int timeout);
void run_until(uint64_t end);
void publish_more(void);

// usage.c: what the server costs
struct usage {
    uint64_t cpu_ns, user_ticks, sys_ticks, ctx_voluntary, ctx_involuntary;
    uint64_t rss_kb, hwm_kb, pss_kb, uss_kb;
    int nproc, nthread;
    int pids[MAX_PIDS]; // of the processes, and the CPU time of each
    uint64_t pid_ns[MAX_PIDS];
};

struct cpu_ticks {
    uint64_t field[10]; // as in /proc/stat
};

struct usage server_usage(bool memory);
struct cpu_ticks cpu_ticks(int cpu);
uint64_t tcp_memory(void);

// report.c
void latency_add(uint64_t ns);
void measure_window(void);
void measure_idle(void);

#endif
