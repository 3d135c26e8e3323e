/* Requests to JetStream, and to whom their replies belong. A reply has the number of its request in its
 * subject. */
#include <stdio.h>

#include "broker/nats.h"
#include "core/memory.h"
#include "nats/json.h"

enum { FIRST_REQUESTS = 64, MAX_REQUESTS = 1 << 20 };

static bool grow(cre__nats_link *nats) {
    const uint32_t count = nats->request_count ? 2 * nats->request_count : FIRST_REQUESTS;
    if (count > MAX_REQUESTS) return false;
    cre__nats_request *requests = cre__realloc(nats->requests, count * sizeof *requests);
    if (!requests) return false;
    for (uint32_t i = nats->request_count; i < count; i++)
        requests[i] = (cre__nats_request){ .next = i + 1 < count ? i + 1 : CRE__NATS_NONE };
    nats->free_request = nats->request_count;
    nats->requests = requests;
    nats->request_count = count;
    return true;
}

static void take(cre__nats_link *nats, uint32_t index, cre__nats_request *out) {
    cre__nats_request *request = &nats->requests[index];
    cre__nats_queue *queue = &nats->queues[request->is_short];
    *out = *request;
    *(request->previous == CRE__NATS_NONE ? &queue->first : &nats->requests[request->previous].next) =
        request->next;
    *(request->next == CRE__NATS_NONE ? &queue->last : &nats->requests[request->next].previous) =
        request->previous;
    request->purpose = CRE__NATS_FREE;
    request->next = nats->free_request;
    nats->free_request = index;
}

/* Requests of one queue have the same timeout, so the last one has the last deadline. */
static void append(cre__nats_link *nats, uint32_t index) {
    cre__nats_request *request = &nats->requests[index];
    cre__nats_queue *queue = &nats->queues[request->is_short];
    request->previous = queue->last;
    request->next = CRE__NATS_NONE;
    *(queue->last == CRE__NATS_NONE ? &queue->first : &nats->requests[queue->last].next) = index;
    queue->last = index;
}

enum { SHORT_MS = 1000 };

/* In a cluster, requests other than writes time out soon: without a leader nobody replies to them. */
static bool is_short(const cre_broker *broker, const cre__nats_link *nats, cre__nats_purpose purpose) {
    const bool stores = purpose == CRE__NATS_PUBLISH || purpose == CRE__NATS_WRITE ||
                        purpose == CRE__NATS_LEASE || purpose == CRE__NATS_SET_VALUE;
    return nats->clustered && !stores && broker->config.timeout_ms > SHORT_MS;
}

static uint64_t timeout_of(const cre_broker *broker, bool is_short) {
    return is_short ? SHORT_MS : broker->config.timeout_ms;
}

/* Requests that were sent while the time was not known get their deadlines. They are the last ones. */
void cre__nats_time(const cre_broker *broker, cre__nats_link *nats, uint64_t now) {
    nats->now = now;
    for (int i = 0; i < 2; i++) {
        for (uint32_t at = nats->queues[i].last;
             at != CRE__NATS_NONE && nats->requests[at].deadline == UINT64_MAX;
             at = nats->requests[at].previous)
            nats->requests[at].deadline = now + timeout_of(broker, i);
    }
}

uint32_t cre__nats_next_request(const cre__nats_link *nats, uint32_t index) {
    if (index == CRE__NATS_NONE)
        return nats->queues[0].first != CRE__NATS_NONE ? nats->queues[0].first : nats->queues[1].first;
    const cre__nats_request *request = &nats->requests[index];
    return request->next == CRE__NATS_NONE && !request->is_short ? nats->queues[1].first : request->next;
}

/* The queue whose first request has the earlier deadline. */
static uint32_t first_of(const cre__nats_link *nats) {
    const uint32_t longer = nats->queues[0].first, shorter = nats->queues[1].first;
    if (longer == CRE__NATS_NONE || shorter == CRE__NATS_NONE)
        return longer == CRE__NATS_NONE ? shorter : longer;
    return nats->requests[shorter].deadline < nats->requests[longer].deadline ? shorter : longer;
}

uint64_t cre__nats_deadline(const cre__nats_link *nats) {
    const uint32_t first = first_of(nats);
    return first == CRE__NATS_NONE ? UINT64_MAX : nats->requests[first].deadline;
}

bool cre__nats_ask(cre_broker *broker, uint32_t shard, cre_nats_publication publication,
                   cre__nats_purpose purpose, void *target) {
    cre__nats_link *nats = cre__nats(broker, shard);
    if (nats->free_request == CRE__NATS_NONE && !grow(nats)) {
        cre__link_fail(broker, shard, CRE_ENOMEM, (cre_slice){ 0 });
        return false;
    }
    const uint32_t index = nats->free_request;
    cre__nats_request *request = &nats->requests[index];
    char token[32];
    cre__nats_subject inbox;
    snprintf(token, sizeof token, "%x-%x", index, ++nats->generation);
    publication.reply = cre__nats_inbox(broker, token, &inbox);
    if (!cre__nats_send(broker, shard, &publication)) return false;
    nats->free_request = request->next;
    const bool expires_soon = is_short(broker, nats, purpose);
    const uint64_t deadline = nats->now + timeout_of(broker, expires_soon);
    *request = (cre__nats_request){ .purpose = purpose,
                                    .target = target,
                                    .deadline = broker->links[shard].is_timed ? deadline : UINT64_MAX,
                                    .generation = nats->generation,
                                    .is_short = expires_soon };
    append(nats, index);
    return true;
}

bool cre__nats_ask_stream(cre_broker *broker, uint32_t shard, const char *verb, cre_slice stream,
                          cre_slice payload, cre__nats_purpose purpose, void *target) {
    char subject[96 + CRE__MAX_PREFIX];
    snprintf(subject, sizeof subject, "$JS.API.%s.%.*s", verb, (int)stream.length, (const char *)stream.data);
    const cre_nats_publication publication = { .subject = cre__text(subject), .payload = payload };
    return cre__nats_ask(broker, shard, publication, purpose, target);
}

bool cre__nats_ask_last(cre_broker *broker, uint32_t shard, cre_slice stream, cre_slice subject,
                        cre__nats_purpose purpose, void *target) {
    char request[CRE__NATS_SUBJECT + 32];
    snprintf(request, sizeof request, "{\"last_by_subj\":\"%.*s\"}", (int)subject.length,
             (const char *)subject.data);
    return cre__nats_ask_stream(broker, shard, "STREAM.MSG.GET", stream, cre__text(request), purpose, target);
}

bool cre__nats_remove(cre_broker *broker, uint32_t shard, cre_slice stream, uint64_t sequence,
                      cre__nats_purpose purpose, void *target) {
    char request[64];
    snprintf(request, sizeof request, "{\"seq\":%llu,\"no_erase\":true}", (unsigned long long)sequence);
    return cre__nats_ask_stream(broker, shard, "STREAM.MSG.DELETE", stream, cre__text(request), purpose,
                                target);
}

static bool read_hex(const uint8_t **at, const uint8_t *end, uint32_t *out) {
    const uint8_t *start = *at;
    *out = 0;
    for (; *at < end && **at != '-'; ++*at) {
        const uint8_t c = **at;
        if (*at - start == 8 || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        *out = *out << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return *at > start;
}

bool cre__nats_number(cre_slice headers, const char *name, uint64_t *number) {
    cre_slice value;
    return cre_nats_header(headers, name, &value) && cre__json_number(value, number);
}

/* Messages of a batch say how many are left; behind the last one comes a reply with a status. */
bool cre__nats_more_follow(const cre_nats_event *event) {
    uint64_t left;
    return !event->status && cre__nats_number(event->headers, "Nats-Num-Pending", &left);
}

bool cre__nats_answered(cre__nats_link *nats, const cre_nats_event *event, cre__nats_request *out) {
    const cre_slice subject = event->subject;
    const uint8_t *end = subject.data + subject.length, *at = end;
    while (at > subject.data && at[-1] != '.')
        at--;
    uint32_t index, generation;
    if (!read_hex(&at, end, &index) || at == end || *at++ != '-' || !read_hex(&at, end, &generation) ||
        at != end)
        return false;
    if (index >= nats->request_count || nats->requests[index].purpose == CRE__NATS_FREE ||
        nats->requests[index].generation != generation)
        return false;
    *out = nats->requests[index];
    const cre__nats_fetch *fetch = out->purpose == CRE__NATS_FETCH ? out->target : NULL;
    if (!fetch || !fetch->direct || !cre__nats_more_follow(event)) take(nats, index, out);
    return true;
}

bool cre__nats_timed_out(cre__nats_link *nats, cre__nats_request *out) {
    const uint32_t index = first_of(nats);
    if (index == CRE__NATS_NONE || nats->requests[index].deadline > nats->now) return false;
    take(nats, index, out);
    return true;
}

bool cre__nats_cancel(cre__nats_link *nats, cre__nats_purpose purpose, const void *target) {
    for (uint32_t i = CRE__NATS_NONE; (i = cre__nats_next_request(nats, i)) != CRE__NATS_NONE;) {
        cre__nats_request taken;
        if (nats->requests[i].purpose != purpose || nats->requests[i].target != target) continue;
        take(nats, i, &taken);
        return true;
    }
    return false;
}

bool cre__nats_error_of(const cre_nats_event *event, cre__nats_error *out) {
    cre_slice error, value;
    *out = (cre__nats_error){ 0 };
    if (event->status) { /* nobody serves the subject, so there is no JetStream, or no leader yet */
        out->code = event->status;
        out->text = cre__text("JetStream is not available (is it enabled?)");
        return true;
    }
    if (!cre__json_member(event->payload, "error", &error)) return false;
    if (cre__json_member(error, "code", &value)) cre__json_number(value, &out->code);
    if (cre__json_member(error, "err_code", &value)) cre__json_number(value, &out->kind);
    if (!cre__json_member(error, "description", &value) || !cre__json_string(value, &out->text))
        out->text = cre__text("JetStream has reported an error");
    return true;
}

cre__nats_finding cre__nats_find_stream(const cre__nats_link *nats, const cre_nats_event *event,
                                        bool creating, uint32_t failures, cre_slice *cause) {
    enum { NOT_FOUND = 10059, OTHER_CONFIG = 10058, SUBJECTS_OVERLAP = 10065 };
    cre__nats_error error;
    *cause = cre__text("JetStream does not reply");
    if (!event) return CRE__NATS_RETRY;
    if (!cre__nats_error_of(event, &error)) return CRE__NATS_EXISTS;
    *cause = error.text;
    if (error.kind == NOT_FOUND && !creating) return CRE__NATS_MISSING;
    /* Perhaps by another machine, a moment ago: look at it. The subjects of another stream overlap again. */
    if (error.kind == OTHER_CONFIG || (error.kind == SUBJECTS_OVERLAP && creating && !failures))
        return CRE__NATS_RETRY;
    const bool soon = cre__nats_is_transient(&error) && (nats->clustered || !event->status);
    return soon ? CRE__NATS_RETRY : CRE__NATS_REFUSED;
}

bool cre__nats_stored_of(const cre_nats_event *event, cre__nats_stored *out) {
    cre_slice message, value;
    *out = (cre__nats_stored){ 0 };
    if (!cre__json_member(event->payload, "message", &message) || !cre__json_member(message, "seq", &value) ||
        !cre__json_number(value, &out->sequence) || !out->sequence)
        return false;
    if (cre__json_member(message, "subject", &value)) cre__json_string(value, &out->subject);
    if (cre__json_member(message, "data", &value)) cre__json_string(value, &out->data);
    if (cre__json_member(message, "hdrs", &value)) cre__json_string(value, &out->headers);
    if (cre__json_member(message, "time", &value)) cre__json_string(value, &out->time);
    return true;
}

bool cre__nats_acknowledgement(const cre_nats_event *event, uint64_t *sequence) {
    cre_slice value;
    return cre__json_member(event->payload, "seq", &value) && cre__json_number(value, sequence) && *sequence;
}
