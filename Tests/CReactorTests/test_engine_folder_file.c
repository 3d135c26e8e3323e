/* Responses with files beneath a folder: whole, in parts, and refused. */
#include <sys/stat.h>

#include "both.h"

#include "engine/command.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static char folder[64];
static uint8_t *content;
static size_t content_size;
static cre_file_info info;

static void place(char *path, size_t size, const char *name) {
    snprintf(path, size, "%s/%s", folder, name);
}

static void make_file(const char *name, size_t size) {
    char path[100];
    place(path, sizeof path, name);
    content = realloc(content, size + 1);
    REQUIRE(content != NULL);
    content_size = size;
    for (size_t i = 0; i < size; i++)
        content[i] = (uint8_t)(i * i >> 7);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(descriptor >= 0);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(descriptor, content + done, size - done);
        REQUIRE(n > 0);
        done += (size_t)n;
    }
    close(descriptor);
    descriptor = cre_file_open(folder, name, CRE_SYMLINKS_BENEATH, &info);
    REQUIRE(descriptor >= 0);
    close(descriptor);
}

static void make_folder(void) {
    strcpy(folder, "/tmp/creactor-folder-XXXXXX");
    REQUIRE(mkdtemp(folder) != NULL);
}

static void remove_folder(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    REQUIRE(system(command) == 0);
    free(content);
    content = NULL;
}

static net_server *start(void) {
    return net_start((cre_engine_config){ .http = true, .max_pipelined = 4 }, NULL);
}

static cre_session request(net_server *net, net_client *client, const char *text) {
    net_send(client, text, strlen(text));
    return net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
}

static uint8_t number(const net_server *net) {
    return net->events[net->seen - 1].record.opcode;
}

/* A command; what it consists of can be changed before it is sent. */
typedef struct command {
    cre_response response;
    uint8_t fields[32];
    cre_folder_file file;
    cre_file_part parts[CRE_MAX_FILE_PARTS];
    const char *texts, *path;
    size_t path_length;
} command;

static command make_command(const char *path) {
    command it = { .response.status = 200,
                   .file = { .info = info, .folder_length = (uint16_t)strlen(folder) },
                   .texts = "",
                   .path = path,
                   .path_length = strlen(path) };
    it.response.fields_length = (uint32_t)cre_http_fields_put(it.fields, sizeof it.fields, "X-A", 3, "1", 1);
    return it;
}

/* `descriptor`: the file, opened before; -1: none. */
static int run_with(net_server *net, const command *it, cre_session session, uint8_t which, int descriptor) {
    uint8_t head[sizeof it->file + sizeof it->parts + 1000], tail[5000], *at = head;
    size_t parts_size = it->file.part_count * sizeof *it->parts, texts = strlen(it->texts);
    if (it->file.part_count > CRE_MAX_FILE_PARTS) parts_size = sizeof it->parts;
    memcpy(at, &it->file, sizeof it->file);
    memcpy(at += sizeof it->file, it->parts, parts_size);
    memcpy(at += parts_size, it->texts, texts);
    at += texts;
    memcpy(tail, folder, strlen(folder));
    memcpy(tail + strlen(folder), it->path, it->path_length);
    cre_slice slices[] = { { (const uint8_t *)&it->response, sizeof it->response },
                           { it->fields, it->response.fields_length },
                           { head, (size_t)(at - head) },
                           { tail, strlen(folder) + it->path_length } };
    cre_record record = { .kind = CRE_COMMAND_RESPOND_FOLDER_FILE, .opcode = which, .session = session };
    if (descriptor >= 0) return cre__command_with_file(net->engine, &record, slices, 4, descriptor);
    return cre_engine_command(net->engine, &record, slices, 4);
}

static int run(net_server *net, const command *it, cre_session session, uint8_t which) {
    return run_with(net, it, session, which, -1);
}

static int answer(net_server *net, const command *it, cre_session session) {
    return run(net, it, session, number(net));
}

/* The head of the next response, without its Date, in one of two buffers in turn. */
static const char *head_of(net_client *client) {
    static char heads[2][2000];
    static int turn;
    char *head = heads[turn ^= 1];
    size_t size = net_find(client, "\r\n\r\n");
    REQUIRE(size < sizeof heads[0]);
    memcpy(head, client->data, size);
    head[size] = 0;
    char *date = strstr(head, "\r\nDate: ") + 2, *end = strstr(date, "\r\n") + 2;
    memmove(date, end, strlen(end) + 1);
    net_take(client, size);
    return head;
}

static void expect_bytes(net_client *client, const void *bytes, size_t length) {
    CHECK(net_await(client, length));
    REQUIRE(client->length >= length);
    CHECK_MEM(client->data, bytes, length);
    net_take(client, length);
}

TEST_BOTH(whole_with_validators) {
    net_server *net = start();
    net_client client = net_connect(net);
    make_folder();
    const size_t sizes[] = { 0, 1, 1000, 8 << 20 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_file("a", sizes[i]);
        char tag[CRE_FILE_ETAG_MAX + 1], date[CRE_HTTP_DATE_LENGTH + 1], wanted[500];
        cre_http_date(date, info.modified);
        date[CRE_HTTP_DATE_LENGTH] = 0;
        tag[cre_file_etag(tag, &info, i == 1)] = 0;
        command it = make_command("a");
        it.file.info = (cre_file_info){ 0 }; /* does not matter for the whole file */
        it.file.validators =
            (uint8_t)(CRE_FILE_LAST_MODIFIED | (i == 1 ? CRE_FILE_WEAK_ETAG : CRE_FILE_ETAG));
        cre_session session = request(net, &client, GET("/"));
        CHECK_EQ(answer(net, &it, session), 0);
        CHECK_EQ(answer(net, &it, session), CRE_ENO_REQUEST);
        snprintf(wanted, sizeof wanted,
                 "HTTP/1.1 200 OK\r\nX-A: 1\r\nETag: %s\r\nLast-Modified: %s\r\nContent-Length: %zu\r\n\r\n",
                 tag, date, sizes[i]);
        CHECK_STR(head_of(&client), wanted);
        expect_bytes(&client, content, sizes[i]);
    }
    /* A time of the future is not sent. */
    struct timespec times[2] = { { .tv_sec = 4102444800 }, { .tv_sec = 4102444800 } };
    REQUIRE(utimensat(AT_FDCWD, folder, times, 0) == 0);
    char path[100];
    place(path, sizeof path, "a");
    REQUIRE(utimensat(AT_FDCWD, path, times, 0) == 0);
    command it = make_command("a");
    it.file.validators = CRE_FILE_LAST_MODIFIED;
    cre_session session = request(net, &client, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(answer(net, &it, session), 0);
    const char *head = head_of(&client);
    CHECK(strstr(head, "Last-Modified: ") && !strstr(head, "2100") && !strstr(head, "ETag"));
    CHECK(strstr(head, "Content-Length: 8388608\r\n") && client.length == 0);
    net_close(&client);
    net_stop(net);
    remove_folder();
}

TEST_BOTH(statuses_without_a_body) {
    net_server *net = start();
    net_client client = net_connect(net);
    make_folder();
    const size_t sizes[] = { 100, 1 << 20 }; /* sent together with its head, and behind it */
    static const struct {
        int status;
        const char *line;
        bool has_length; /* that of the file */
    } cases[] = {
        { 204, "HTTP/1.1 204 No Content", false },
        { 205, "HTTP/1.1 205 Reset Content", false },
        { 304, "HTTP/1.1 304 Not Modified", true },
    };
    for (size_t i = 0; i < 2; i++) {
        make_file("a", sizes[i]);
        for (size_t j = 0; j < sizeof cases / sizeof *cases; j++) {
            command it = make_command("a");
            it.response.status = (uint16_t)cases[j].status;
            cre_session session = request(net, &client, GET("/"));
            CHECK_EQ(answer(net, &it, session), 0);
            char length[50] = "", wanted[200];
            if (cases[j].has_length) snprintf(length, sizeof length, "Content-Length: %zu\r\n", sizes[i]);
            if (cases[j].status == 205) strcpy(length, "Content-Length: 0\r\n");
            snprintf(wanted, sizeof wanted, "%s\r\nX-A: 1\r\n%s\r\n", cases[j].line, length);
            CHECK_STR(head_of(&client), wanted);
        }
    }
    /* Bytes of a body would be in front of the next response. */
    command it = make_command("a");
    cre_session session = request(net, &client, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(answer(net, &it, session), 0);
    CHECK_STR(head_of(&client), "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 1048576\r\n\r\n");
    net_settle(net);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    net_stop(net);
    remove_folder();
}

TEST_BOTH(parts_with_texts) {
    net_server *net = start();
    net_client client = net_connect(net);
    make_folder();
    make_file("a", 4 << 20);
    static const struct {
        uint64_t offset, length;
        const char *text;
    } parts[] = { { 100, 1, "first" }, { 0, 3 << 20, "" },           { 5, 0, "empty" },
                  { 7, 0, "" },        { 1 << 20, 3 << 20, "last" }, { 4 << 20, 0, "\r\nEND" } };
    /* All of them, and each of them alone. */
    for (size_t first = 0; first <= sizeof parts / sizeof *parts; first++) {
        bool all = first == sizeof parts / sizeof *parts;
        size_t from = all ? 0 : first, to = all ? first : first + 1, length = 0;
        command it = make_command("a");
        char texts[100] = "";
        for (size_t i = from; i < to; i++) {
            uint32_t text = (uint32_t)strlen(parts[i].text);
            it.parts[it.file.part_count++] = (cre_file_part){ { parts[i].offset, parts[i].length }, text, 0 };
            strcat(texts, parts[i].text);
            length += text + parts[i].length;
        }
        it.response.status = 206;
        it.texts = texts;
        it.file.text_length = (uint32_t)strlen(texts);
        cre_session session = request(net, &client, GET("/"));
        uint8_t which = number(net);
        /* The next request is answered first and waits for its turn. */
        if (all) {
            net_send_text(&client, GET("/next"));
            net_expect_event(net, CRE_EVENT_REQUEST);
            CHECK_EQ(run(net, &it, session, number(net)), 0);
        }
        CHECK_EQ(run(net, &it, session, which), 0);
        for (int round = 0; round <= all; round++) {
            char wanted[200];
            snprintf(wanted, sizeof wanted,
                     "HTTP/1.1 206 Partial Content\r\nX-A: 1\r\nContent-Length: %zu\r\n\r\n", length);
            CHECK_STR(head_of(&client), wanted);
            for (size_t i = from; i < to; i++) {
                expect_bytes(&client, parts[i].text, strlen(parts[i].text));
                expect_bytes(&client, content + parts[i].offset, parts[i].length);
            }
        }
    }
    net_settle(net);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    NET_UNTIL(net, net->engine->net.open == 0);
    net_stop(net);
    remove_folder();
}

TEST_BOTH(files_that_were_opened_before) {
    net_server *net = start();
    net_client client = net_connect(net);
    NET_UNTIL(net, net->engine->net.open == 1);
    make_folder();
    int descriptors = net_descriptors();
    char path[100], tag[CRE_FILE_ETAG_MAX + 1];
    place(path, sizeof path, "a");
    const size_t sizes[] = { 1000, 8 << 20 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_file("a", sizes[i]);
        int descriptor = cre_file_open(folder, "a", CRE_SYMLINKS_BENEATH, &info);
        REQUIRE(descriptor >= 0);
        unlink(path); /* it is not opened again */
        tag[cre_file_etag(tag, &info, false)] = 0;
        command it = make_command("a");
        it.file.validators = CRE_FILE_ETAG;
        cre_session session = request(net, &client, GET("/"));
        CHECK_EQ(run_with(net, &it, session, number(net), descriptor), 0);
        CHECK(strstr(head_of(&client), tag) != NULL);
        expect_bytes(&client, content, sizes[i]);
        CHECK_EQ(net_descriptors(), descriptors);
        /* An answer that is refused closes the file. */
        int other = open("/dev/null", O_RDONLY);
        CHECK_EQ(run_with(net, &it, session, number(net), other), CRE_ENO_REQUEST);
        CHECK_EQ(net_descriptors(), descriptors);
    }
    /* One that must wait opens it when it is its turn. */
    make_file("a", 100);
    command it = make_command("a");
    cre_session session = request(net, &client, GET("/") GET("/next"));
    uint8_t first = number(net);
    net_expect_event(net, CRE_EVENT_REQUEST);
    CHECK_EQ(run_with(net, &it, session, number(net), open("/dev/null", O_RDONLY)), 0);
    CHECK_EQ(net_descriptors(), descriptors);
    CHECK_EQ(run(net, &it, session, first), 0);
    for (int i = 0; i < 2; i++) {
        CHECK(strstr(head_of(&client), "Content-Length: 100\r\n") != NULL);
        expect_bytes(&client, content, 100);
    }
    net_close(&client);
    net_stop(net);
    remove_folder();
}

static void expect_page(net_server *net, net_client *client, const command *it, int result, int status) {
    cre_session session = request(net, client, GET("/"));
    CHECK_EQ(answer(net, it, session), result);
    CHECK_EQ(net_response(client, NULL, 0, false), status);
}

TEST_BOTH(files_that_are_refused) {
    net_server *net = start();
    net_client client = net_connect(net);
    make_folder();
    make_file("a", 100);
    char path[100], other[100];
    place(path, sizeof path, "link");
    REQUIRE(symlink("a", path) == 0);
    place(path, sizeof path, "out");
    REQUIRE(symlink("/etc/passwd", path) == 0);
    NET_UNTIL(net, net->engine->net.open == 1);
    int descriptors = net_descriptors();
    command it = make_command("missing");
    expect_page(net, &client, &it, -ENOENT, 404);
    it = make_command(".");
    expect_page(net, &client, &it, -EISDIR, 404);
    it = make_command("out");
    expect_page(net, &client, &it, -EXDEV, 404);
    it = make_command("../../etc/passwd");
    expect_page(net, &client, &it, -EXDEV, 404);
    it = make_command("/etc/passwd");
    expect_page(net, &client, &it, CRE_EINVALID, 404);
    it = make_command("link");
    it.file.symlinks = CRE_SYMLINKS_REFUSED;
    expect_page(net, &client, &it, -ELOOP, 404);
    it = make_command("a");
    if (geteuid()) {
        place(path, sizeof path, "a");
        REQUIRE(chmod(path, 0) == 0);
        expect_page(net, &client, &it, -EACCES, 403);
        REQUIRE(chmod(path, 0600) == 0);
    }
    /* A file that has taken the place of the one that the parts belong to. */
    make_file("b", 100);
    it = make_command("a");
    it.file.part_count = 1;
    it.parts[0].range.length = 10;
    expect_page(net, &client, &it, CRE_ESTATE, 503);
    place(path, sizeof path, "a");
    place(other, sizeof other, "b");
    REQUIRE(rename(other, path) == 0);
    expect_page(net, &client, &it, 0, 200);
    CHECK_EQ(net_descriptors(), descriptors);
    net_close(&client);
    net_stop(net);
    remove_folder();
}

TEST(malformed_commands) {
    net_server *net = start();
    net_client client = net_connect(net);
    make_folder();
    make_file("a", 100);
    cre_session session = request(net, &client, GET("/"));
    command good = make_command("a");
    good.file.part_count = 2;
    good.file.text_length = 3;
    good.texts = "abc";
    good.parts[0] = (cre_file_part){ { 0, 100 }, 1, 0 };
    good.parts[1] = (cre_file_part){ { 100, 0 }, 2, 0 };
#define REFUSED(change)                                    \
    do {                                                   \
        command it = good;                                 \
        change;                                            \
        CHECK_EQ(answer(net, &it, session), CRE_EINVALID); \
    } while (0)
    REFUSED(it.response.status = 99);
    REFUSED(it.parts[0].range.length = 101);
    REFUSED(it.parts[1].range.offset = 101);
    REFUSED(it.parts[0].range = ((cre_file_range){ 1, UINT64_MAX }));
    REFUSED(it.parts[0].text_length = 2);
    REFUSED(it.parts[1].text_length = UINT32_MAX);
    REFUSED(it.file.text_length = UINT32_MAX);
    REFUSED(it.file.part_count = CRE_MAX_FILE_PARTS + 1);
    REFUSED(it.file.part_count = UINT16_MAX);
    REFUSED(it.file.symlinks = 3);
    REFUSED(it.file.folder_length = 0);
    REFUSED(it.file.folder_length = UINT16_MAX);
    REFUSED(it.file.folder_length++); /* no path is left */
    REFUSED(it.path_length = 0);
    REFUSED(it.path = "a\0b"; it.path_length = 3);
    REFUSED(it.file.info.size = UINT64_MAX; it.parts[0].range.length = UINT64_MAX;
            it.parts[1].range = ((cre_file_range){ 0, UINT64_MAX }));
    CHECK_EQ(answer(net, &good, session), 0);
    CHECK_EQ(net_response(&client, NULL, 0, false), 200);
    net_close(&client);
    net_stop(net);
    remove_folder();
}

TEST_BOTH(clients_that_leave) {
    net_server *net = start();
    make_folder();
    make_file("a", 16 << 20);
    command it = make_command("a");
    it.file.part_count = 3;
    it.file.text_length = 6;
    it.texts = "onetwo";
    it.parts[0] = (cre_file_part){ { 0, 8 << 20 }, 3, 0 };
    it.parts[1] = (cre_file_part){ { 0, 16 << 20 }, 3, 0 };
    for (int i = 0; i < 3; i++) {
        net_client client = net_connect(net);
        cre_session session = request(net, &client, GET("/"));
        CHECK_EQ(answer(net, &it, session), 0);
        if (i) net_turn(net);
        if (i == 2) {
            char path[100];
            place(path, sizeof path, "a");
            REQUIRE(truncate(path, 1000) == 0); /* cuts the connection */
            net_await_end(&client);
            CHECK(client.length < 24 << 20);
            net_close(&client);
        } else {
            net_abort(&client);
        }
        NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 0);
    }
    net_stop(net);
    remove_folder();
}

static net_server *failing;

static bool without_memory(void) {
    net_client client = net_connect(failing);
    net_send_text(&client, GET("/"));
    while (failing->count == failing->seen && !client.eof) {
        net_turn(failing);
        if (!net_pull(&client)) net_rest(failing, client.descriptor);
    }
    if (!client.eof) {
        cre_session session = failing->events[failing->seen++].record.session;
        command it = make_command("a");
        it.file.part_count = 2;
        it.file.text_length = 6;
        it.texts = "onetwo";
        it.file.validators = CRE_FILE_ETAG | CRE_FILE_LAST_MODIFIED;
        it.parts[0] = (cre_file_part){ { 0, 1000 }, 3, 0 };
        it.parts[1] = (cre_file_part){ { 1000, 2000 }, 3, 0 };
        answer(failing, &it, session);
    }
    bool whole = !client.eof && net_await(&client, 3000 + 6);
    net_close(&client);
    NET_UNTIL(failing, failing->engine->net.open == 0);
    net_settle(failing);
    net_forget(failing);
    return whole;
}

TEST_BOTH(no_memory) {
    failing = start();
    make_folder();
    make_file("a", 3000);
    without_memory(); /* what stays with the engine is there afterwards */
    for (long n = 1; n < 12; n++) {
        atomic_store(&test_fail_at, n);
        bool whole = without_memory();
        bool untouched = atomic_exchange(&test_fail_at, 0) > 0;
        if (untouched) CHECK(whole);
    }
    net_stop(failing);
    remove_folder();
}

TEST_MAIN()
