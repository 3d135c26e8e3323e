/* The contexts of TLS connections: of servers, a snapshot of a cre_tls; of clients, a cre_tls_client. */
#ifndef CRE_NET_TLS_CONTEXT_H
#define CRE_NET_TLS_CONTEXT_H

#include <creactor/connect.h>
#include <creactor/tls.h>
#include <stdint.h>

struct cre__tls_context;
struct ssl_ctx_st;
struct ssl_st;

/* The current context; the caller becomes one of its owners. */
struct cre__tls_context *cre__tls_current(cre_tls *tls);
void cre__tls_context_release(struct cre__tls_context *context);
struct ssl_ctx_st *cre__tls_context_default(const struct cre__tls_context *context);
uint32_t cre__tls_context_timeout(const struct cre__tls_context *context);
void cre__tls_context_report(const struct cre__tls_context *context, const char *peer, const char *cause);

struct ssl_ctx_st *cre__tls_client_context(const cre_tls_client *client);
uint32_t cre__tls_client_timeout(const cre_tls_client *client);
/* Sets the server that a new connection expects, as of cre__tls_attach_client. Returns 0, CRE_EINVALID or
 * CRE_ENOMEM. */
int cre__tls_client_expect(const cre_tls_client *client, struct ssl_st *ssl, const char *server_name);

#endif
