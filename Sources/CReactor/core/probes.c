/* Probes that are reached by a call. */
#include "core/probes.h"

#ifdef CRE_HAVE_USDT

void cre__probe_accept(uint64_t session, uint16_t port, uint16_t worker) {
    CRE__PROBE3(accept, session, port, worker);
}

void cre__probe_close(uint64_t session, int reason, uint16_t code, int error) {
    DTRACE_PROBE4(creactor, close, session, reason, code, error);
}

void cre__probe_tls_handshake(int descriptor, int resumed) {
    CRE__PROBE2(tls_handshake, descriptor, resumed);
}

void cre__probe_tls_failed(int descriptor, unsigned long cause) {
    CRE__PROBE2(tls_failed, descriptor, cause);
}

void cre__probe_handshake(uint64_t session, int compressed) {
    CRE__PROBE2(handshake, session, compressed);
}

void cre__probe_request(uint64_t session, const void *head, size_t length) {
    CRE__PROBE3(request, session, head, length);
}

void cre__probe_publish(uint8_t opcode, size_t size, uint32_t receivers) {
    CRE__PROBE3(publish, opcode, size, receivers);
}

#endif
