/* Values by keys in Redis. Each operation is a run of one script. */
#include "core/decimal.h"
#include "core/memory.h"
#include "redis.h"

/* The results of the script. */
enum { NOT_DONE = 0, DONE = 1, NO_NUMBER = 2, TOO_LARGE = 3 };

typedef struct operation_request {
    cre__request request;
    uint64_t tag;
    size_t size; /* as it counts for `values` of the link */
} operation_request;

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

static void replied(cre_broker *broker, uint32_t shard, cre__request *request, const cre_redis_value *value) {
    const operation_request operation = *(operation_request *)request;
    cre_slice text = { 0 };
    cre__free(request);
    broker->links[shard].values -= operation.size;
    int result = CRE_EBROKER_UNKNOWN;
    if (value)
        result = value->type == CRE_REDIS_ERROR ? read_error(broker, shard, value) : read_reply(value, &text);
    if (result == CRE_EREDIS_PROTOCOL) {
        cre__link_fail(broker, shard, result, (cre_slice){ 0 });
        result = CRE_EBROKER_UNKNOWN;
    }
    broker->handlers.value(broker->context, operation.tag, result, text);
}

static cre_slice number(char out[2 * CRE__MAX_DECIMAL], bool negative, uint64_t absolute) {
    *out = '-';
    return (cre_slice){ (const uint8_t *)out, (size_t)(cre__put_decimal(out + negative, absolute) - out) };
}

int cre__redis_apply(cre_broker *broker, uint32_t shard, const cre_value_operation *operation, uint64_t tag) {
    static const char *const kinds[] = { "get", "set", "remove", "add" }, *const conditions[] = { "",
                                                                                                  "absent",
                                                                                                  "equal" };
    if (cre__redis(broker, shard)->moving) return CRE_EBROKER_UNAVAILABLE;
    operation_request *next = cre__malloc(sizeof *next);
    if (!next) return CRE_EBROKER_UNAVAILABLE;
    *next =
        (operation_request){ .request.replied = replied,
                             .tag = tag,
                             .size = sizeof *next + operation->value.length + operation->expected.length };
    const int64_t amount = operation->amount;
    char lifetime[2 * CRE__MAX_DECIMAL], sum[2 * CRE__MAX_DECIMAL];
    cre__key key;
    const bool adds = operation->kind == CRE_VALUE_ADD, is_negative = amount < 0;
    const cre_slice added = number(sum, is_negative, is_negative ? 0 - (uint64_t)amount : (uint64_t)amount);
    cre_slice arguments[] = {
        [2] = cre__text("1"),
        cre__broker_key(broker, cre__shard_hash(operation->key), 'v', operation->key, &key),
        cre__text(kinds[operation->kind]),
        cre__text(conditions[operation->condition]),
        operation->expected,
        number(lifetime, false, operation->lifetime_ms),
        adds ? added : operation->value,
    };
    if (cre__redis_run(broker, shard, CRE__SCRIPT_VALUE, arguments, sizeof arguments / sizeof *arguments,
                       &next->request)) {
        broker->links[shard].values += next->size;
        return 0;
    }
    cre__free(next);
    return CRE_EBROKER_UNAVAILABLE;
}
