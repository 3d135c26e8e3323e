/* What a cre_tls holds at one time: an immutable set of certificates, keys and settings. */
#ifndef CRE_NET_TLS_CONTEXT_H
#define CRE_NET_TLS_CONTEXT_H

#include <creactor/tls.h>
#include <stdint.h>

struct cre__tls_context;
struct ssl_ctx_st;

/* The current context; the caller becomes one of its owners. */
struct cre__tls_context *cre__tls_current(cre_tls *tls);
void cre__tls_context_release(struct cre__tls_context *context);
struct ssl_ctx_st *cre__tls_context_default(const struct cre__tls_context *context);
uint32_t cre__tls_context_timeout(const struct cre__tls_context *context);
void cre__tls_context_tell(const struct cre__tls_context *context, const char *peer, const char *cause);

#endif
