/* Values by keys in Redis. Each operation is a run of one script. Operations of a shard are sent in their
 * order, each when there is room for its reply. */
#include "core/decimal.h"
#include "core/memory.h"
#include "redis.h"

/* The results of the script. */
enum { NOT_DONE = 0, DONE = 1, NO_NUMBER = 2, TOO_LARGE = 3 };

typedef struct operation {
    cre__question question;
    uint64_t tag;
    size_t size; /* as it counts for `values` of the link */
    bool sent;
    cre_value_operation asked; /* its texts are in `bytes` */
    uint8_t bytes[];
} operation;

/* A number and, for GET and ADD that were done, the value. */
static int read_reply(const cre_redis_value *value, cre_slice *out) {
    if (value->type != CRE_REDIS_ARRAY || !value->count || value->size != value->count + 1 ||
        value[1].type != CRE_REDIS_INTEGER)
        return CRE_EREDIS_PROTOCOL;
    if (value->count > 1 && value[2].type != CRE_REDIS_STRING) return CRE_EREDIS_PROTOCOL;
    if (value->count > 1) *out = value[2].text;
    switch (value[1].integer) {
    case NOT_DONE:
    case DONE: return (int)value[1].integer;
    case NO_NUMBER: return CRE_EVALUE_NUMBER;
    case TOO_LARGE: return CRE_ELIMIT;
    default: return CRE_EREDIS_PROTOCOL;
    }
}

/* An error of Redis. */
static int read_error(cre_broker *broker, uint32_t shard, const cre_redis_value *error) {
    if (cre__error_is(error, "OOM")) return CRE_EVALUE_FULL;
    if (cre__error_is(error, "NOSCRIPT")) {
        cre__redis_load(broker, shard, CRE__SCRIPT_VALUE);
        return CRE_EBROKER_UNAVAILABLE;
    }
    if (cre__redis_slot_refused(broker, shard, error)) return CRE_EBROKER_UNAVAILABLE;
    if (cre__error_is(error, "READONLY")) { /* a replica since a moment ago: look for the master again */
        cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, error->text);
        return CRE_EBROKER_UNAVAILABLE;
    }
    cre__redis_refused(broker, shard, error);
    return CRE_EBROKER_REFUSED;
}

static void answered(cre_broker *broker, uint32_t shard, cre__question *question,
                     const cre_redis_value *value, int error) {
    const operation *own = (const operation *)question;
    const uint64_t tag = own->tag;
    int result = own->sent ? CRE_EBROKER_UNKNOWN : CRE_EBROKER_UNAVAILABLE;
    cre_slice text = { 0 };
    (void)error;
    broker->links[shard].values -= own->size;
    cre__free(question);
    if (value)
        result = value->type == CRE_REDIS_ERROR ? read_error(broker, shard, value) : read_reply(value, &text);
    if (result == CRE_EREDIS_PROTOCOL) {
        cre__link_fail(broker, shard, result, (cre_slice){ 0 });
        result = CRE_EBROKER_UNKNOWN;
    }
    broker->handlers.value(broker->context, tag, result, text);
}

static cre_slice number(char out[2 * CRE__MAX_DECIMAL], bool negative, uint64_t absolute) {
    *out = '-';
    return (cre_slice){ (const uint8_t *)out, (size_t)(cre__put_decimal(out + negative, absolute) - out) };
}

static bool send_operation(cre_broker *broker, uint32_t shard, cre__question *question) {
    static const char *const kinds[] = { "get", "set", "remove", "add" }, *const conditions[] = { "",
                                                                                                  "absent",
                                                                                                  "equal" };
    operation *own = (operation *)question;
    const cre_value_operation *asked = &own->asked;
    const int64_t amount = asked->amount;
    char lifetime[2 * CRE__MAX_DECIMAL], sum[2 * CRE__MAX_DECIMAL];
    cre__key key;
    const bool adds = asked->kind == CRE_VALUE_ADD, is_negative = amount < 0;
    const cre_slice added = number(sum, is_negative, is_negative ? 0 - (uint64_t)amount : (uint64_t)amount);
    cre_slice arguments[] = {
        [2] = cre__text("1"),
        cre__broker_key(broker, cre__shard_hash(asked->key), 'v', asked->key, &key),
        cre__text(kinds[asked->kind]),
        cre__text(conditions[asked->condition]),
        asked->expected,
        number(lifetime, false, asked->lifetime_ms),
        adds ? added : asked->value,
    };
    own->sent = cre__redis_run(broker, shard, CRE__SCRIPT_VALUE, arguments,
                               sizeof arguments / sizeof *arguments, &question->request);
    return own->sent;
}

static void drop_operation(cre__question *question) {
    cre__free(question);
}

static cre_slice copy(uint8_t **to, cre_slice text) {
    const cre_slice copied = { *to, text.length };
    if (text.length) memcpy(*to, text.data, text.length);
    *to += text.length;
    return copied;
}

int cre__redis_apply(cre_broker *broker, uint32_t shard, const cre_value_operation *asked, uint64_t tag) {
    if (cre__redis(broker, shard)->moving) return CRE_EBROKER_UNAVAILABLE;
    const size_t size = sizeof(operation) + asked->key.length + asked->value.length + asked->expected.length;
    operation *next = cre__malloc(size);
    if (!next) return CRE_EBROKER_UNAVAILABLE;
    *next = (operation){ .question = { .send = send_operation, .answered = answered, .drop = drop_operation },
                         .tag = tag,
                         .size = size,
                         .asked = *asked };
    uint8_t *at = next->bytes;
    next->asked.key = copy(&at, asked->key);
    next->asked.value = copy(&at, asked->value);
    next->asked.expected = copy(&at, asked->expected);
    broker->links[shard].values += size;
    /* the other replies are no longer than a number */
    cre__redis_ask(broker, shard, &next->question, asked->kind == CRE_VALUE_GET ? CRE_VALUE_MAX : 0);
    return 0;
}
