/*
 * Subjects and records of members: subjects PREFIX.p.TIMEOUT.TOPIC.ID, where topic and id are base64 for
 * URLs, so that each is one token; values ENTRY,ENTRY:INFO, where an entry is a machine and its session in 32
 * hexadecimal digits; leases PREFIX.n.TIMEOUT.SESSION.ROLE.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/nats_presence.h"
#include "core/base64.h"
#include "core/hex.h"
#include "core/memory.h"
#include "core/slices.h"
#include "nats/json.h"

enum { ENTRY = 2 * CRE__HEX, TOKEN = (CRE_BROKER_MAX_TOPIC + 2) / 3 * 4 };

/* ---- records ---- */

bool cre__nats_record_read(cre_slice bytes, cre__nats_record *value) {
    uint32_t count = 0;
    value->count = 0;
    value->info = cre__text("");
    for (size_t at = 0; at < bytes.length;) {
        if (count == CRE__NATS_ENTRIES || bytes.length - at < ENTRY + 1) return false;
        cre__nats_entry *entry = &value->entries[count++];
        if (!cre__parse_hex((cre_slice){ bytes.data + at, CRE__HEX }, &entry->machine) ||
            !cre__parse_hex((cre_slice){ bytes.data + at + CRE__HEX, CRE__HEX }, &entry->session))
            return false;
        at += ENTRY;
        const uint8_t end = bytes.data[at++];
        if (end == ',') continue;
        if (end != ':' || bytes.length - at > CRE_BROKER_MAX_MEMBER_INFO) return false;
        value->count = count;
        value->info = (cre_slice){ bytes.data + at, bytes.length - at };
        return true;
    }
    return bytes.length == 0;
}

size_t cre__nats_record_write(const cre__nats_record *value, uint8_t out[CRE__NATS_RECORD]) {
    uint8_t *at = out;
    for (uint32_t i = 0; i < value->count; i++) {
        cre__put_hex((char *)at, value->entries[i].machine);
        cre__put_hex((char *)at + CRE__HEX, value->entries[i].session);
        at += ENTRY;
        *at++ = i + 1 < value->count ? ',' : ':';
    }
    if (!value->count) return 0;
    if (value->info.length) memcpy(at, value->info.data, value->info.length);
    return (size_t)(at - out) + value->info.length;
}

/* ---- names ---- */

static uint8_t *put_start(const cre_broker *broker, const char *kind, cre__nats_subject *out) {
    const int length = snprintf((char *)out->bytes, sizeof out->bytes, "%s.%s.%u.", broker->prefix, kind,
                                broker->config.presence_ms);
    return out->bytes + length;
}

static cre_slice finish(cre__nats_subject *out, const uint8_t *end) {
    return (cre_slice){ out->bytes, (size_t)(end - out->bytes) };
}

static uint8_t *put_token(uint8_t *out, cre_slice name) {
    size_t length = cre__base64_encode(name.data, name.length, (char *)out);
    while (length && out[length - 1] == '=')
        length--;
    for (size_t i = 0; i < length; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    return out + length;
}

cre_slice cre__nats_member_subject(const cre_broker *broker, cre_slice topic, cre_slice id,
                                   cre__nats_subject *out) {
    uint8_t *at = put_start(broker, "p", out);
    if (topic.length) at = put_token(at, topic);
    if (!topic.length) *at++ = '*';
    *at++ = '.';
    if (id.length) at = put_token(at, id);
    if (!id.length) *at++ = '*';
    return finish(out, at);
}

cre_slice cre__nats_lease_subject(const cre_broker *broker, cre__nats_subject *out) {
    uint8_t *at = put_start(broker, "n", out);
    const cre_slice role = cre__text(broker->config.sweeps ? ".sweeps" : ".none");
    cre__put_hex((char *)at, broker->config.seed);
    memcpy(at + CRE__HEX, role.data, role.length);
    return finish(out, at + CRE__HEX + role.length);
}

/* Reads a token up to a dot or the end. Returns the length of the name; 0: malformed. */
static size_t take_token(cre_slice *rest, uint8_t *out, size_t most) {
    char text[TOKEN + 4];
    const uint8_t *dot = memchr(rest->data, '.', rest->length);
    size_t length = dot ? (size_t)(dot - rest->data) : rest->length;
    if (!length || length > TOKEN) return 0;
    for (size_t i = 0; i < length; i++)
        text[i] = (char)(rest->data[i] == '-' ? '+' : rest->data[i] == '_' ? '/' : rest->data[i]);
    const size_t used = length + (dot != NULL);
    while (length % 4)
        text[length++] = '=';
    *rest = (cre_slice){ rest->data + used, rest->length - used };
    const long decoded = cre__base64_decode(text, length, out);
    return decoded > 0 && (size_t)decoded <= most ? (size_t)decoded : 0;
}

bool cre__nats_member_of(const cre_broker *broker, cre_slice subject, cre__nats_member_name *out) {
    cre__nats_subject start;
    const size_t before = (size_t)(put_start(broker, "p", &start) - start.bytes);
    if (subject.length <= before || memcmp(subject.data, start.bytes, before) != 0) return false;
    cre_slice rest = { subject.data + before, subject.length - before };
    out->topic_length = take_token(&rest, out->topic, CRE_BROKER_MAX_TOPIC);
    out->id_length = take_token(&rest, out->id, CRE_BROKER_MAX_MEMBER_ID);
    return out->topic_length && out->id_length && !rest.length;
}

/* $JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE..., or with domain and account before the stream. */
uint64_t cre__nats_sequence_of(cre_slice reply) {
    enum { SHORT = 9, SEQUENCE = 5, LONG_SEQUENCE = 7 };
    size_t starts[16] = { 0 }, count = 1;
    for (size_t i = 0; i < reply.length && count < 16; i++)
        if (reply.data[i] == '.') starts[count++] = i + 1;
    if (count < SHORT) return 0;
    const size_t at = starts[count == SHORT ? SEQUENCE : LONG_SEQUENCE];
    const uint8_t *end = memchr(reply.data + at, '.', reply.length - at);
    uint64_t sequence;
    const size_t length = end ? (size_t)(end - reply.data) - at : reply.length - at;
    return cre__json_number((cre_slice){ reply.data + at, length }, &sequence) ? sequence : 0;
}

/* ---- machines ---- */

static int compare_nodes(const void *one, const void *other) {
    const uint64_t a = ((const cre__nats_node *)one)->session, b = ((const cre__nats_node *)other)->session;
    return (a > b) - (a < b);
}

bool cre__nats_nodes_read(const cre_broker *broker, cre_slice reply, cre__nats_nodes *out) {
    cre_slice state, subjects, name, value;
    cre__nats_subject start;
    size_t capacity = 0;
    const size_t before = (size_t)(put_start(broker, "n", &start) - start.bytes);
    *out = (cre__nats_nodes){ 0 };
    if (!cre__json_member(reply, "state", &state)) return false;
    if (!cre__json_member(state, "subjects", &subjects)) return true; /* nobody is alive */
    while (cre__json_next_member(&subjects, &name, &value)) {
        cre__nats_node node = { 0 };
        if (name.length < before + CRE__HEX || memcmp(name.data, start.bytes, before) != 0) continue;
        if (!cre__parse_hex((cre_slice){ name.data + before, CRE__HEX }, &node.session)) continue;
        const cre_slice role = { name.data + before + CRE__HEX, name.length - before - CRE__HEX };
        node.sweeps = cre__slice_is(role, ".sweeps");
        if (out->count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            cre__nats_node *larger = cre__realloc(out->first, capacity * sizeof *larger);
            if (!larger) {
                cre__free(out->first);
                *out = (cre__nats_nodes){ 0 };
                return false;
            }
            out->first = larger;
        }
        out->first[out->count++] = node;
    }
    if (out->count) qsort(out->first, out->count, sizeof *out->first, compare_nodes);
    return true;
}

bool cre__nats_is_alive(const cre__nats_nodes *nodes, uint64_t session) {
    const cre__nats_node key = { .session = session };
    return nodes->count && bsearch(&key, nodes->first, nodes->count, sizeof key, compare_nodes);
}

uint32_t cre__nats_remove_dead(cre__nats_record *value, const cre__nats_nodes *nodes) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < value->count; i++)
        if (cre__nats_is_alive(nodes, value->entries[i].session)) value->entries[kept++] = value->entries[i];
    const uint32_t removed = value->count - kept;
    value->count = kept;
    return removed;
}
