// The reader of RESP beside that of hiredis, where that is installed: what it takes to read 10,000 messages,
// and a reply with a history of 1,000, as they arrive in reads of 64 KiB.
//
//   redis_micro [READER CASE]   one of them only, for valgrind --tool=callgrind --toggle-collect=measured
#include <creactor/redis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if __has_include(<hiredis/hiredis.h>)
#include <hiredis/hiredis.h>
#define HAS_HIREDIS 1
#endif

enum { READ = 65536, MESSAGES = 10000, HISTORY = 1000, ROUNDS = 7 };

struct input {
    const char *name;
    char *bytes;
    size_t length;
    unsigned values; // messages, or replies
};

struct reader {
    const char *name;
    size_t (*read)(const struct input *input); // the bytes of all strings
};

extern void *__libc_malloc(size_t size), *__libc_calloc(size_t count, size_t size),
    *__libc_realloc(void *memory, size_t size);

static unsigned long allocations;

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    allocations++;
    return __libc_realloc(memory, size);
}

// ---- what arrives ----

static void put_string(struct input *input, const char *text, size_t length) {
    input->length += (size_t)sprintf(input->bytes + input->length, "$%zu\r\n", length);
    memcpy(input->bytes + input->length, text, length);
    input->length += length;
    input->length += (size_t)sprintf(input->bytes + input->length, "\r\n");
}

static void begin_array(struct input *input, unsigned members) {
    input->length += (size_t)sprintf(input->bytes + input->length, "*%u\r\n", members);
}

static struct input messages(const char *name, size_t size) {
    struct input input = { name, malloc(MESSAGES * (size + 100)), 0, MESSAGES };
    char *payload = malloc(size + 1);
    memset(payload, 'x', size + 1);
    for (unsigned i = 0; i < MESSAGES; i++) {
        begin_array(&input, 3); // a push of RESP3, which older versions of hiredis do not know, is read alike
        put_string(&input, "message", 7);
        put_string(&input, "sws:{17}:c:chat:lobby", 21);
        put_string(&input, payload, size + 1);
    }
    free(payload);
    return input;
}

// What the script that recovers returns: epoch, offset, whether all are there, and the messages behind their
// offsets.
static struct input history(void) {
    struct input input = { "history", malloc(HISTORY * 200), 0, 1 };
    char payload[64], offset[16];
    memset(payload, 'x', sizeof payload);
    begin_array(&input, 4);
    put_string(&input, "00000000000000aa", 16);
    put_string(&input, "1000", 4);
    input.length += (size_t)sprintf(input.bytes + input.length, ":1\r\n");
    begin_array(&input, 2 * HISTORY);
    for (unsigned i = 0; i < HISTORY; i++) {
        put_string(&input, offset, (size_t)sprintf(offset, "%u", i + 1));
        put_string(&input, payload, sizeof payload);
    }
    return input;
}

static size_t piece(const struct input *input, size_t at) {
    return input->length - at < READ ? input->length - at : READ;
}

static void fail(const char *what) {
    fprintf(stderr, "redis_micro: %s\n", what);
    exit(1);
}

// ---- the readers ----

static size_t read_ours(const struct input *input) {
    cre_redis_reader reader;
    size_t sum = 0;
    if (cre_redis_reader_init(&reader, NULL)) fail("no reader");
    for (size_t at = 0, length; (length = piece(input, at)); at += length) {
        const uint8_t *cursor = (const uint8_t *)input->bytes + at, *end = cursor + length;
        const cre_redis_value *value;
        int result;
        while ((result = cre_redis_reader_next(&reader, &cursor, end, &value)) > 0)
            for (unsigned i = 0; i < value->size; i++)
                sum += value[i].text.length;
        if (result < 0) fail("an error of our reader");
    }
    cre_redis_reader_deinit(&reader);
    return sum;
}

#ifdef HAS_HIREDIS
static size_t length_of(const redisReply *reply) {
    size_t sum = reply->type == REDIS_REPLY_STRING ? (size_t)reply->len : 0;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        sum += length_of(reply->element[i]);
    return sum;
}

static size_t read_replies(redisReader *reader, const struct input *input, size_t (*take)(void *reply)) {
    size_t sum = 0;
    if (!reader) fail("no reader of hiredis");
    for (size_t at = 0, length; (length = piece(input, at)); at += length) {
        void *reply;
        if (redisReaderFeed(reader, input->bytes + at, length)) fail("an error of hiredis");
        while (!redisReaderGetReply(reader, &reply) && reply)
            sum += take(reply);
        if (reader->err) fail(reader->errstr);
    }
    redisReaderFree(reader);
    return sum;
}

static size_t take_objects(void *reply) {
    const size_t sum = length_of(reply);
    freeReplyObject(reply);
    return sum;
}

static size_t read_objects(const struct input *input) {
    return read_replies(redisReaderCreate(), input, take_objects);
}

// The least that hiredis can do: strings are seen in its buffer, and nothing is kept.
static size_t seen;
static int something;

static void *see_string(const redisReadTask *task, char *text, size_t length) {
    (void)task, (void)text;
    seen += length;
    return &something;
}

static void *see_array(const redisReadTask *task) { // and the number of members
    (void)task;
    return &something;
}

static void *see_integer(const redisReadTask *task, long long number) {
    (void)task, (void)number;
    return &something;
}

static void *see_nil(const redisReadTask *task) {
    (void)task;
    return &something;
}

static void forget(void *object) {
    (void)object;
}

static size_t take_seen(void *reply) {
    (void)reply;
    const size_t sum = seen;
    seen = 0;
    return sum;
}

static size_t read_functions(const struct input *input) {
    static redisReplyObjectFunctions functions = {
        .createString = see_string, .createInteger = see_integer, .createNil = see_nil, .freeObject = forget
    };
    // The type of the number of members differs between versions of hiredis.
    functions.createArray = (__typeof__(functions.createArray))(void (*)(void))see_array;
    return read_replies(redisReaderCreateWithFunctions(&functions), input, take_seen);
}
#endif

static const struct reader readers[] = {
    { "ours", read_ours },
#ifdef HAS_HIREDIS
    { "hiredis, objects", read_objects },
    { "hiredis, functions", read_functions },
#endif
};

// ---- the measurement ----

// Not inlined, so that callgrind finds it.
__attribute__((noinline, noclone)) size_t measured(const struct reader *reader, const struct input *input);

size_t measured(const struct reader *reader, const struct input *input) {
    return reader->read(input);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    const struct input inputs[] = { messages("64 B", 64), messages("1 KiB", 1024), history() };
    const char *only_reader = argc > 2 ? argv[1] : NULL, *only_case = argc > 2 ? argv[2] : NULL;
    for (size_t c = 0; c < sizeof inputs / sizeof *inputs; c++) {
        const size_t expected = read_ours(&inputs[c]);
        for (size_t r = 0; r < sizeof readers / sizeof *readers; r++) {
            if (only_case && (strcmp(only_case, inputs[c].name) || strcmp(only_reader, readers[r].name)))
                continue;
            double best = 1e9;
            for (int round = 0; round < (only_case ? 1 : ROUNDS); round++) {
                allocations = 0;
                const double begin = seconds();
                if (measured(&readers[r], &inputs[c]) != expected) fail("the readers differ");
                const double took = seconds() - begin;
                if (took < best) best = took;
            }
            printf("%-8s%-20s%10.1f ns%10.3f allocations for each value\n", inputs[c].name, readers[r].name,
                   best / inputs[c].values * 1e9, (double)allocations / inputs[c].values);
        }
    }
    return 0;
}
