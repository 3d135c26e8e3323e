/* Messages to the program that supervises this process. */
#include <creactor/creactor.h>
#include <creactor/internal/process.h>
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "test.h"

static int listen_at(const char *name, size_t length) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, name, length);
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    REQUIRE(descriptor >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    REQUIRE(bind(descriptor, (struct sockaddr *)&address, size) == 0);
    return descriptor;
}

static void expect(int descriptor, const char *message) {
    char text[64] = { 0 };
    CHECK_EQ(recv(descriptor, text, sizeof text - 1, 0), (ssize_t)strlen(message));
    CHECK_STR(text, message);
}

TEST(messages_reach_sockets_with_a_path) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/creactor-notify-%d", getpid());
    int descriptor = listen_at(path, strlen(path) + 1);
    CHECK_EQ(cre_process_notify(path, "READY=1", 7), 0);
    expect(descriptor, "READY=1");
    close(descriptor);
    CHECK_EQ(cre_process_notify(path, "READY=1", 7), -ECONNREFUSED);
    unlink(path);
    CHECK_EQ(cre_process_notify(path, "READY=1", 7), -ENOENT);
}

TEST(messages_reach_abstract_sockets) {
    char name[108];
    memset(name, 'n', sizeof name);
    int length = snprintf(name, sizeof name, "@creactor-notify-%d-", getpid());
    name[length] = 'n';
    char address[109] = { 0 };
    for (size_t size = 40; size <= sizeof name;
         size += sizeof name - 40) { /* also one that fills the address */
        memcpy(address, name, size);
        address[size] = 0;
        address[0] = 0;
        int descriptor = listen_at(address, size);
        address[0] = '@';
        CHECK_EQ(cre_process_notify(address, "STOPPING=1", 10), 0);
        expect(descriptor, "STOPPING=1");
        close(descriptor);
    }
}

TEST(a_socket_without_room_is_not_waited_for) {
    char name[64];
    snprintf(name, sizeof name, "@creactor-full-%d", getpid());
    char address[64];
    memcpy(address, name, sizeof address);
    address[0] = 0;
    int descriptor = listen_at(address, strlen(name)), result = 0;
    for (int i = 0; !result && i < 100000; i++)
        result = cre_process_notify(name, "WATCHDOG=1", 10);
    CHECK_EQ(result, -EAGAIN);
    expect(descriptor, "WATCHDOG=1");
    close(descriptor);
}

TEST(names_are_checked) {
    char name[200];
    memset(name, 'n', sizeof name);
    CHECK_EQ(cre_process_notify("", "x", 1), -EINVAL);
    CHECK_EQ(cre_process_notify("@", "x", 1), -EINVAL);
    CHECK_EQ(cre_process_notify("relative", "x", 1), -EINVAL);
    name[108] = 0;
    name[0] = '/';
    CHECK_EQ(cre_process_notify(name, "x", 1), -ENAMETOOLONG);
    name[107] = 0;
    CHECK_EQ(cre_process_notify(name, "x", 1), -ENOENT);
    name[107] = 'n';
    name[0] = '@';
    CHECK_EQ(cre_process_notify(name, "x", 1), -ECONNREFUSED);
    name[108] = 'n';
    name[109] = 0;
    CHECK_EQ(cre_process_notify(name, "x", 1), -ENAMETOOLONG);
}

TEST_MAIN()
