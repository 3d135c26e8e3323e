/* Answers to other servers that ask how many connections here are subscribed to a topic: the sum of what the
 * processes that own sockets return. These know it exactly; what they have reported to the gateway may be a
 * little older than the question.
 *
 * A tally ends when all owners have answered. When an owner does not, because it was killed or has no room
 * for more than messages, the server that has asked repeats its question, for which there is a new tally; the
 * old one remains until its place is needed. */
#include <creactor/error.h>
#include <string.h>

#include "core/memory.h"
#include "gateway/gateway_internal.h"

enum { MOST_TALLIES = 1024, BITS = 64 };

struct cre__tally {
    uint64_t number;        /* for the owners */
    uint64_t server, asked; /* who has asked, and its number of the question */
    uint64_t count;
    uint32_t missing; /* owners; their bits are in tally_bits. 0: it has ended */
};

static uint64_t *bits_of(cre_gateway *gateway, uint64_t number) {
    return gateway->tally_bits + number % MOST_TALLIES * gateway->wants.words;
}

static bool make_tallies(cre_gateway *gateway) {
    if (gateway->tallies) return true;
    gateway->tallies = cre__calloc(MOST_TALLIES, sizeof *gateway->tallies);
    gateway->tally_bits =
        cre__calloc((size_t)MOST_TALLIES * gateway->wants.words, sizeof *gateway->tally_bits);
    if (gateway->tallies && gateway->tally_bits) return true;
    cre__gateway_drop_tallies(gateway);
    return false;
}

void cre__gateway_drop_tallies(cre_gateway *gateway) {
    cre__free(gateway->tallies);
    cre__free(gateway->tally_bits);
    gateway->tallies = NULL;
    gateway->tally_bits = NULL;
}

void cre__gateway_count_here(cre_gateway *gateway, uint64_t server, uint64_t asked, cre_slice topic) {
    const cre_gateway_config *config = &gateway->config;
    if (!make_tallies(gateway)) return; /* the question is repeated */
    const uint64_t number = ++gateway->last_tally;
    cre__tally *tally = &gateway->tallies[number % MOST_TALLIES];
    *tally =
        (cre__tally){ .number = number, .server = server, .asked = asked, .missing = config->owner_count };
    memset(bits_of(gateway, number), 0xff, gateway->wants.words * sizeof(uint64_t));
    const cre_record question = { .kind = CRE_MESSAGE_COUNT, .session = number };
    for (uint32_t owner = 0; owner < config->owner_count; owner++) {
        const uint32_t node = config->first_owner + owner;
        if (cre_node_congested(gateway->node, node)) continue;
        const int result = cre_node_send(gateway->node, node, &question, &topic, 1);
        (void)result; /* without room the owner remains missing */
    }
}

int cre__gateway_counted(cre_gateway *gateway, uint32_t from, const cre_record *record,
                         const uint8_t *payload) {
    const uint32_t owner = from - gateway->config.first_owner;
    uint64_t count;
    if (from < gateway->config.first_owner || owner >= gateway->config.owner_count) return CRE_EINVALID;
    if (record->length != sizeof count) return CRE_EINVALID;
    memcpy(&count, payload, sizeof count);
    if (count > UINT32_MAX) return CRE_EINVALID;
    if (!gateway->tallies) return 0; /* for a predecessor */
    cre__tally *tally = &gateway->tallies[record->session % MOST_TALLIES];
    uint64_t *bits = bits_of(gateway, record->session) + owner / BITS, bit = 1ull << owner % BITS;
    if (tally->number != record->session || !tally->missing || !(*bits & bit)) return 0;
    *bits &= ~bit;
    tally->count += count;
    if (!--tally->missing) cre__gateway_answer_count(gateway, tally->server, tally->asked, tally->count);
    return 0;
}
