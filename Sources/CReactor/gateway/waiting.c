/* Questions that wait for an answer of the broker. The tag of each is its address. */
#include <creactor/error.h>

#include "core/memory.h"
#include "gateway/gateway_internal.h"

enum { MOST_WAITING = 16384 };

struct cre__waiting {
    cre__waiting *next, **link;
    cre__asker asker;
};

int cre__gateway_wait(cre_gateway *gateway, cre__asker asker, cre__waiting **out) {
    if (gateway->waiting_count >= MOST_WAITING) return CRE_EBROKER_UNAVAILABLE;
    cre__waiting *waiting = cre__malloc(sizeof *waiting);
    if (!waiting) return CRE_ENOMEM;
    *waiting = (cre__waiting){ .next = gateway->questions, .link = &gateway->questions, .asker = asker };
    if (waiting->next) waiting->next->link = &waiting->next;
    gateway->questions = waiting;
    gateway->waiting_count++;
    cre__gateway_publish_question_count(gateway);
    *out = waiting;
    return 0;
}

cre__asker cre__gateway_waited(cre_gateway *gateway, cre__waiting *waiting) {
    const cre__asker asker = waiting->asker;
    *waiting->link = waiting->next;
    if (waiting->next) waiting->next->link = waiting->link;
    gateway->waiting_count--;
    cre__gateway_publish_question_count(gateway);
    cre__free(waiting);
    return asker;
}

void cre__gateway_drop_waiting(cre_gateway *gateway) {
    while (gateway->questions)
        cre__gateway_waited(gateway, gateway->questions);
}
