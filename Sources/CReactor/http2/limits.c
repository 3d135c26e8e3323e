/* Budgets of what a client may cause without a request. */
#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include "http2/http2_internal.h"

#define TOKEN UINT64_C(1000) /* so that each millisecond adds `rate` */

void cre__h2_budget_init(cre__h2_budget *budget, uint32_t burst, uint32_t rate) {
    *budget = (cre__h2_budget){ .left = burst * TOKEN, .burst = burst, .rate = rate };
}

bool cre__h2_budget_spend(cre__h2_budget *budget, uint64_t now) {
    const uint64_t most = budget->burst * TOKEN;
    uint64_t passed = now > budget->updated_at ? now - budget->updated_at : 0;
    budget->updated_at = now;
    /* a full budget needs no multiplication that could overflow */
    if (passed > (most - budget->left) / budget->rate)
        budget->left = most;
    else
        budget->left += passed * budget->rate;
    if (budget->left < TOKEN) return false;
    budget->left -= TOKEN;
    return true;
}

#endif
