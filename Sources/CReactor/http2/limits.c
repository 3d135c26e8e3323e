/* Limits: budgets of what a client may cause without a request, and how long others wait for it. */
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

int cre__h2_spend_control(cre_http2 *session) {
    session->stats.control_frames++;
    return cre__h2_budget_spend(&session->control, session->now) ? 0 : CRE_EHTTP2_FLOOD;
}

int cre__h2_spend_reset(cre_http2 *session) {
    session->stats.resets++;
    return cre__h2_budget_spend(&session->resets, session->now) ? 0 : CRE_EHTTP2_FLOOD;
}

/* ---- times ---- */

/* Returns whether the client has not acknowledged the SETTINGS for too long. */
static bool ack_missing(cre_http2 *session) {
    if (session->acknowledged) return false;
    if (!session->ack_awaited) {
        session->ack_awaited = true;
        session->unacknowledged_since = session->now;
    }
    return session->now - session->unacknowledged_since >= session->config.ack_timeout_ms;
}

void cre_http2_expire(cre_http2 *session, uint64_t now) {
    if (session->busy) return;
    cre__h2_trim(session);
    if (now > session->now) session->now = now;
    if (session->failed || session->broken) return;
    if (ack_missing(session)) {
        if (!session->error) session->error = CRE_EHTTP2;
        session->failed = true;
        (void)nghttp2_session_terminate_session(session->protocol, NGHTTP2_SETTINGS_TIMEOUT);
        return;
    }
    for (cre__h2_stream *stream = session->streams; stream; stream = stream->next) {
        const bool nothing = session->config.read_body ? stream->deferred : !stream->queued && !stream->ended;
        if (stream->resetting || !stream->responding || nothing) {
            stream->waiting = false;
        } else if (!stream->waiting || stream->progressed) {
            stream->waiting = true;
            stream->progressed = false;
            stream->waiting_since = session->now;
        } else if (session->now - stream->waiting_since >= session->config.stall_timeout_ms) {
            session->stats.stalled++;
            (void)cre__h2_stream_reset(session, stream, CRE_HTTP2_CANCEL); /* without memory the next time */
        }
    }
}

#endif
