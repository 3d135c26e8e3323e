// libwebsockets echo. By its rules one message is written in each writable callback, so what arrives is
// queued.
#include <libwebsockets.h>
#include <signal.h>
#include <stdbool.h>

#include "options.h"

#define CHUNK 65536

// One message, shared by all the queues that it stands in.
struct message {
    int references;
    bool binary;
    size_t length, capacity;
    unsigned char bytes[]; // LWS_PRE bytes of room for the frame head, then the payload
};

struct entry {
    struct entry *next;
    struct message *message;
};

struct session {
    struct lws *wsi;
    struct session *previous, *next; // of those on /broadcast
    struct message *incoming;
    struct entry *first, **last;
    bool broadcast;
};

static struct session *group;

static void release(struct message *message) {
    if (message && --message->references == 0) free(message);
}

static void enqueue(struct session *session, struct message *message) {
    struct entry *entry = malloc(sizeof *entry);
    if (!entry) exit(1);
    entry->next = NULL;
    entry->message = message;
    message->references++;
    *session->last = entry;
    session->last = &entry->next;
    lws_callback_on_writable(session->wsi);
}

static void open_session(struct lws *wsi, struct session *session) {
    char path[64] = "";
    lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI);
    memset(session, 0, sizeof *session);
    session->wsi = wsi;
    session->last = &session->first;
    session->broadcast = !strcmp(path, "/broadcast");
    if (!session->broadcast) return;
    session->next = group;
    if (group) group->previous = session;
    group = session;
}

static void close_session(struct session *session) {
    release(session->incoming);
    for (struct entry *entry = session->first, *next; entry; entry = next) {
        next = entry->next;
        release(entry->message);
        free(entry);
    }
    if (!session->broadcast) return;
    if (session->next) session->next->previous = session->previous;
    if (session->previous)
        session->previous->next = session->next;
    else
        group = session->next;
}

// A large message comes in pieces; the room for all of it is made with the first one.
static int receive(struct session *session, const void *bytes, size_t length) {
    struct message *message = session->incoming;
    size_t have = message ? message->length : 0, need = have + length;
    if (need > MAX_MESSAGE) return -1;
    if (!message || need > message->capacity) {
        size_t left = lws_remaining_packet_payload(session->wsi), capacity = need + left;
        message = realloc(message, sizeof *message + LWS_PRE + capacity);
        if (!message) return -1;
        if (!session->incoming) {
            message->references = 1;
            message->binary = lws_frame_is_binary(session->wsi);
        }
        message->capacity = capacity;
        session->incoming = message;
    }
    memcpy(message->bytes + LWS_PRE + have, bytes, length);
    message->length = need;
    if (!lws_is_final_fragment(session->wsi) || lws_remaining_packet_payload(session->wsi)) return 0;
    if (session->broadcast) {
        for (struct session *other = group; other; other = other->next)
            enqueue(other, message);
    } else {
        enqueue(session, message);
    }
    release(message);
    session->incoming = NULL;
    return 0;
}

static int write_one(struct session *session) {
    struct entry *entry = session->first;
    if (!entry) return 0;
    struct message *message = entry->message;
    int written = lws_write(session->wsi, message->bytes + LWS_PRE, message->length,
                            message->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
    if (written < (int)message->length) return -1;
    session->first = entry->next;
    if (!session->first)
        session->last = &session->first;
    else
        lws_callback_on_writable(session->wsi);
    release(message);
    free(entry);
    return 0;
}

static int start_hello(struct lws *wsi) {
    unsigned char head[LWS_PRE + 1024], *start = head + LWS_PRE, *p = start, *end = head + sizeof head - 1;
    if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain", sizeof HELLO - 1, &p, end)) return 1;
    if (lws_finalize_write_http_header(wsi, start, &p, end)) return 1;
    lws_callback_on_writable(wsi);
    return 0;
}

static int write_hello(struct lws *wsi) {
    unsigned char body[LWS_PRE + sizeof HELLO];
    memcpy(body + LWS_PRE, HELLO, sizeof HELLO - 1);
    if (lws_write(wsi, body + LWS_PRE, sizeof HELLO - 1, LWS_WRITE_HTTP_FINAL) != sizeof HELLO - 1) return 1;
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: open_session(wsi, user); return 0;
    case LWS_CALLBACK_RECEIVE: return receive(user, in, length);
    case LWS_CALLBACK_SERVER_WRITEABLE: return write_one(user);
    case LWS_CALLBACK_CLOSED: close_session(user); return 0;
    case LWS_CALLBACK_HTTP: return start_hello(wsi);
    case LWS_CALLBACK_HTTP_WRITEABLE: return write_hello(wsi);
    default: return lws_callback_http_dummy(wsi, reason, user, in, length);
    }
}

int main(int argc, char **argv) {
    static const struct lws_protocols protocols[] = {
        { .name = "echo",
          .callback = on_event,
          .per_session_data_size = sizeof(struct session),
          .rx_buffer_size = CHUNK },
        { .name = NULL },
    };
    int port = port_option(argc, argv);
    struct lws_context_creation_info info = {
        .port = port,
        .iface = "127.0.0.1",
        .protocols = protocols,
        .pt_serv_buf_size = CHUNK,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .options = LWS_SERVER_OPTION_DISABLE_IPV6 | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
    };
    lws_set_log_level(LLL_ERR, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct lws_context *context = lws_create_context(&info);
    struct lws_vhost *vhost = context ? lws_create_vhost(context, &info) : NULL;
    if (!vhost) return 1;
    announce(port ? port : lws_get_vhost_listen_port(vhost));
    while (lws_service(context, 0) >= 0)
        continue;
    return 0;
}
