/* The protocol of NATS with a real server, which is started here. Skipped where nats-server is not installed.
 */
#include <arpa/inet.h>
#include <creactor/nats.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "test.h"
#include "text.h"

static pid_t server;
static int connection = -1;
static cre_nats_reader reader;
static uint8_t input[65536];
static const uint8_t *cursor, *end;

static char folder[] = "/tmp/cre-nats-XXXXXX";

/* The port that the server has chosen; 0: it has not reported it yet, by a file of JSON with a URL. */
static uint16_t read_port(void) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "%s/nats-server_%d.ports", folder, server);
    FILE *file = fopen(path, "r");
    const size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[length] = 0;
    const char *found = strstr(text, "nats://127.0.0.1:");
    return found ? (uint16_t)atoi(found + strlen("nats://127.0.0.1:")) : 0;
}

static void start(void) {
    REQUIRE(mkdtemp(folder));
    server = fork();
    REQUIRE(server >= 0);
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const char *const names[] = { "nats-server",
                                      "/usr/sbin/nats-server" }; /* which a user's path may lack */
        for (int i = 0; i < 2; i++)
            execlp(names[i], "nats-server", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", folder, "-l",
                   "/dev/null", (char *)NULL);
        _exit(127);
    }
    uint16_t port = 0;
    for (int waits = 0; waits < 6000 && !(port = read_port()); waits++)
        usleep(10000);
    REQUIRE(port);
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                         .sin_port = htons(port) };
    connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(connection >= 0 && connect(connection, (const struct sockaddr *)&address, sizeof address) == 0);
    REQUIRE(cre_nats_reader_init(&reader, NULL) == 0);
    cursor = end = input;
}

static void stop(void) {
    cre_nats_reader_deinit(&reader);
    close(connection);
    kill(server, SIGKILL);
    REQUIRE(waitpid(server, NULL, 0) == server);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK_EQ(system(command), 0);
}

static void send_bytes(const void *data, size_t length) {
    REQUIRE(length > 0 && send(connection, data, length, MSG_NOSIGNAL) == (ssize_t)length);
}

static void send_text(const char *text) {
    send_bytes(text, strlen(text));
}

/* The next operation of the server. */
static int next(cre_nats_event *event) {
    for (;;) {
        const int kind = cre_nats_reader_next(&reader, &cursor, end, event);
        if (kind) return kind;
        struct pollfd polled = { .fd = connection, .events = POLLIN };
        REQUIRE(poll(&polled, 1, 60000) == 1);
        const ssize_t n = recv(connection, input, sizeof input, 0);
        REQUIRE(n > 0);
        cursor = input;
        end = input + n;
    }
}

static void publish(const char *subject, const char *reply, const char *headers, const char *payload) {
    uint8_t out[256];
    const cre_nats_publication publication = { text(subject), text(reply), text(headers), text(payload) };
    REQUIRE(cre_nats_publish_size(&publication) <= sizeof out);
    send_bytes(out, cre_nats_publish(out, &publication));
}

TEST(a_connection) {
    uint8_t out[256];
    cre_nats_event event;
    cre_slice value;
    start();
    REQUIRE(next(&event) == CRE_NATS_INFO);
    CHECK(memmem(event.text.data, event.text.length, "\"headers\":true", 14) != NULL);
    send_text("CONNECT {\"verbose\":true,\"headers\":true,\"no_responders\":true}\r\n");
    REQUIRE(next(&event) == CRE_NATS_OK);
    send_bytes(out, cre_nats_subscribe(out, sizeof out, text("news.*"), text(""), 7));
    REQUIRE(next(&event) == CRE_NATS_OK);

    send_text("CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n");
    publish("news.a", "", "", "hello");
    REQUIRE(next(&event) == CRE_NATS_MESSAGE);
    CHECK_EQ(event.subscription, 7);
    CHECK_MEM(event.subject.data, "news.a", 6);
    CHECK_EQ(event.payload.length, 5);
    CHECK_EQ(event.headers.length, 0);

    publish("news.b", "box.1", "Nats-Msg-Id: 12\r\nOther: x\r\n", "");
    REQUIRE(next(&event) == CRE_NATS_MESSAGE);
    CHECK_MEM(event.reply.data, "box.1", 5);
    CHECK_EQ(event.payload.length, 0);
    CHECK_EQ(event.status, 0);
    CHECK(cre_nats_header(event.headers, "nats-msg-id", &value));
    CHECK_EQ(value.length, 2);

    /* a request that nobody serves */
    publish("nobody", "news.c", "", "x");
    REQUIRE(next(&event) == CRE_NATS_MESSAGE);
    CHECK_EQ(event.status, 503);

    send_text(CRE_NATS_PING_LINE);
    CHECK_EQ(next(&event), CRE_NATS_PONG);
    send_bytes(out, cre_nats_unsubscribe(out, sizeof out, 7, 0));
    publish("news.a", "", "", "not received");
    send_text(CRE_NATS_PING_LINE);
    CHECK_EQ(next(&event), CRE_NATS_PONG);
    send_text("NONSENSE\r\n");
    REQUIRE(next(&event) == CRE_NATS_ERROR);
    CHECK_MEM(event.text.data, "Unknown Protocol", 16);
    stop();
}

int main(int argc, char **argv) {
    if (access("/usr/bin/nats-server", X_OK) && access("/usr/local/bin/nats-server", X_OK) &&
        access("/usr/sbin/nats-server", X_OK)) {
        printf("skipped: nats-server is not installed\n");
        return 77; /* CTest's SKIP_RETURN_CODE */
    }
    return test_main(argc, argv);
}
