/* The objects of fetches, what they keep, and the lists in which they wait, are active and pause. */
#include "broker/nats.h"
#include "core/base64.h"
#include "core/memory.h"

enum {
    MAX_BYTES = 16 << 20,     /* of one fetch */
    MAX_ALL_BYTES = 128 << 20 /* of all of a connection */
};

/* ---- lists ---- */

static void append(cre__nats_list *list, cre__nats_fetch *fetch) {
    fetch->list = list;
    fetch->next = NULL;
    fetch->previous = list->last;
    if (list->last)
        list->last->next = fetch;
    else
        list->first = fetch;
    list->last = fetch;
    list->count++;
}

static void detach(cre__nats_fetch *fetch) {
    cre__nats_list *list = fetch->list;
    if (fetch->previous)
        fetch->previous->next = fetch->next;
    else
        list->first = fetch->next;
    if (fetch->next)
        fetch->next->previous = fetch->previous;
    else
        list->last = fetch->previous;
    list->count--;
}

static void move(cre__nats_list *list, cre__nats_fetch *fetch) {
    detach(fetch);
    append(list, fetch);
}

static cre__nats_fetches *fetches_of(cre__nats_link *nats, const cre__nats_fetch *fetch) {
    const cre__nats_fetch_kind kind = fetch->topic    ? CRE__NATS_CHECKS
                                      : fetch->direct ? CRE__NATS_DIRECT
                                                      : CRE__NATS_RECOVERIES;
    return &nats->fetches[kind];
}

void cre__nats_fetch_start(cre__nats_link *nats, cre__nats_fetch *fetch) {
    move(&fetches_of(nats, fetch)->active, fetch);
}

void cre__nats_fetch_wait(cre__nats_link *nats, cre__nats_fetch *fetch) {
    fetch->direct = false;
    move(&fetches_of(nats, fetch)->waiting, fetch);
}

void cre__nats_fetch_pause(cre__nats_link *nats, cre__nats_fetch *fetch, uint64_t due) {
    fetch->due = due;
    move(&nats->paused, fetch);
}

/* ---- objects ---- */

cre__nats_fetch *cre__nats_fetch_new(cre_broker *broker, uint32_t shard, cre__nats_stream *stream,
                                     cre__broker_topic *topic, cre_slice name, cre_broker_position since) {
    cre__nats_fetch *fetch = cre__calloc(1, sizeof *fetch + name.length);
    if (!fetch) {
        cre__link_fail(broker, shard, CRE_ENOMEM, (cre_slice){ 0 });
        return NULL;
    }
    fetch->topic = topic;
    fetch->stream = stream;
    fetch->end = &fetch->items;
    fetch->buffered_end = &fetch->buffered;
    fetch->length = (uint8_t)name.length;
    memcpy(fetch->name, name.data, name.length);
    fetch->since = since;
    fetch->last = fetch->reached = since.offset;
    fetch->asks_last = !since.epoch;
    fetch->direct = !topic && since.epoch && since.offset;
    if (topic) topic->checks++;
    append(&fetches_of(cre__nats(broker, shard), fetch)->waiting, fetch);
    return fetch;
}

void cre__nats_fetch_leave(cre__nats_fetch *fetch) {
    if (fetch->topic && fetch->topic->refill == fetch) fetch->topic->refill = NULL;
    detach(fetch);
}

void cre__nats_fetch_free(cre__nats_link *nats, cre__nats_fetch *fetch) {
    cre__nats_fetch_forget(nats, fetch);
    cre__nats_fetch_unbuffer(nats, fetch);
    if (fetch->topic) cre__broker_topic_release(fetch->topic);
    cre__free(fetch);
}

/* ---- messages ---- */

static void free_list(cre__nats_item *item) {
    for (cre__nats_item *next; item; item = next) {
        next = item->next;
        cre__free(item);
    }
}

void cre__nats_fetch_forget(cre__nats_link *nats, cre__nats_fetch *fetch) {
    free_list(fetch->items);
    nats->item_bytes -= fetch->bytes;
    fetch->items = NULL;
    fetch->end = &fetch->items;
    fetch->bytes = fetch->count = 0;
}

void cre__nats_fetch_unbuffer(cre__nats_link *nats, cre__nats_fetch *fetch) {
    free_list(fetch->buffered);
    nats->item_bytes -= fetch->buffered_bytes;
    fetch->buffered = NULL;
    fetch->buffered_end = &fetch->buffered;
    fetch->buffered_bytes = 0;
}

static cre__nats_item *item_of(uint64_t sequence, size_t size) {
    cre__nats_item *item = cre__malloc(sizeof *item + size);
    if (item) *item = (cre__nats_item){ .sequence = sequence, .length = size };
    return item;
}

bool cre__nats_keep(const cre_broker *broker, cre__nats_link *nats, cre__nats_fetch *fetch, cre_slice data,
                    uint64_t sequence) {
    const size_t size = fetch->direct ? data.length : data.length / 4 * 3;
    /* above the history some may have been deleted since the first one was read */
    uint32_t most = fetch->stream->history.count;
    if (!fetch->topic && broker->config.max_recover < most) most = broker->config.max_recover;
    if (fetch->count == most || fetch->bytes + size > MAX_BYTES || nats->item_bytes + size > MAX_ALL_BYTES)
        return false;
    cre__nats_item *item = item_of(sequence, size + 3);
    if (!item) return false;
    long length = (long)data.length;
    if (!fetch->direct)
        length = cre__base64_decode((const char *)data.data, data.length, item->payload);
    else if (data.length)
        memcpy(item->payload, data.data, data.length);
    item->length = length < 0 ? 0 : (size_t)length;
    *fetch->end = item;
    fetch->end = &item->next;
    fetch->count++;
    fetch->bytes += size;
    nats->item_bytes += size;
    return length >= 0;
}

/* ---- messages that arrive meanwhile ---- */

void cre__nats_buffer(cre__nats_link *nats, cre__nats_fetch *fetch, cre_slice payload, uint64_t sequence,
                      uint64_t before) {
    const size_t size = sizeof(cre__nats_item) + payload.length;
    if (fetch->buffered && sequence <= fetch->last_buffered) return;
    const bool has_room =
        fetch->buffered_bytes + size <= MAX_BYTES && nats->item_bytes + size <= MAX_ALL_BYTES;
    if (!has_room || before > fetch->last_buffered) cre__nats_fetch_unbuffer(nats, fetch);
    cre__nats_item *item = has_room ? item_of(sequence, payload.length) : NULL;
    if (!item) { /* it is read from the stream like those before it */
        cre__nats_fetch_unbuffer(nats, fetch);
        return;
    }
    if (payload.length) memcpy(item->payload, payload.data, payload.length);
    if (!fetch->buffered) fetch->before_buffered = before;
    *fetch->buffered_end = item;
    fetch->buffered_end = &item->next;
    fetch->last_buffered = sequence;
    fetch->buffered_bytes += size;
    nats->item_bytes += size;
}
