/* Questions of the processes of a server, and the answers. */
#include <creactor/error.h>
#include <string.h>

#include "gateway/gateway_internal.h"

/* Answers a question, at once or later. Returns 0; an error, which is answered here; or CRE_EINVALID for a
 * malformed payload, which ends the sender. */
typedef int answering(cre_gateway *gateway, cre__asker asker, cre_slice payload);

static answering *const kinds[] = {
    [CRE_QUESTION_POSITION] = cre__gateway_ask_position, [CRE_QUESTION_MEMBERS] = cre__gateway_ask_members,
    [CRE_QUESTION_RECOVER] = cre__gateway_ask_recover,   [CRE_QUESTION_VALUE] = cre__gateway_ask_value,
    [CRE_QUESTION_COUNT] = cre__gateway_ask_count,
};

int cre__gateway_answer(cre_gateway *gateway, cre__asker to, int result, bool final, const cre_slice *parts,
                        int count) {
    const cre_answer head = { .result = result };
    const cre_record record = { .kind = CRE_MESSAGE_ANSWER,
                                .flags = final ? CRE_RECORD_FINAL : 0,
                                .session = to.number };
    if (final && result) cre__gateway_count(&gateway->stats->questions_failed, 1);
    cre_slice all[1 + CRE__MOST_ANSWER_PARTS] = { { (const uint8_t *)&head, sizeof head } };
    if (count) memcpy(all + 1, parts, (size_t)count * sizeof *parts);
    return cre_node_send(gateway->node, to.node, &record, all, 1 + count);
}

int cre__gateway_question(cre_gateway *gateway, uint32_t from, const cre_record *record,
                          const uint8_t *payload) {
    const cre__asker asker = { from, record->session };
    if (record->opcode >= sizeof kinds / sizeof *kinds || !kinds[record->opcode]) return CRE_EINVALID;
    cre__gateway_count(&gateway->stats->questions, 1);
    const int result = kinds[record->opcode](gateway, asker, (cre_slice){ payload, record->length });
    if (result == CRE_EINVALID) return result;
    if (result && cre__gateway_answer(gateway, asker, result, true, NULL, 0)) {
        /* without room for the answer the question ends by its limit of time */
    }
    return 0;
}
