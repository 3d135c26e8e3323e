/*
 * Probes for tracing tools (USDT): places in the running library at which bpftrace, perf or gdb attach. They
 * exist with CRE_HAVE_USDT; docs/observing.md lists them.
 *
 * A probe that nothing is attached to is one instruction without effect. Without CRE_HAVE_USDT the arguments
 * are not even evaluated, so they must not have effects.
 */
#ifndef CRE_CORE_PROBES_H
#define CRE_CORE_PROBES_H

#ifdef CRE_HAVE_USDT

#include <stddef.h>
#include <stdint.h>

#if !__has_include(<sys/sdt.h>)
#error "CRE_HAVE_USDT needs sys/sdt.h (Debian: systemtap-sdt-dev)"
#endif
#ifdef __clang__
/* It would store arguments if they may be in memory; gcc names the place in memory where they are. */
#define STAP_SDT_ARG_CONSTRAINT nr
#endif
#include <sys/sdt.h>

#define CRE__PROBE2(name, a, b)    DTRACE_PROBE2(creactor, name, a, b)
#define CRE__PROBE3(name, a, b, c) DTRACE_PROBE3(creactor, name, a, b, c)
/* By a call: compilers take a probe for much code, and would inline less of what is around it. */
#define CRE__CALL_PROBE(name, ...) cre__probe_##name(__VA_ARGS__)

void cre__probe_accept(uint64_t session, uint16_t port, uint16_t worker);
void cre__probe_close(uint64_t session, int reason, uint16_t code, int error);
void cre__probe_tls_handshake(int descriptor, int resumed);
void cre__probe_tls_failed(int descriptor, unsigned long cause);
void cre__probe_handshake(uint64_t session, int compressed);
void cre__probe_request(uint64_t session, const void *head, size_t length);
void cre__probe_publish(uint8_t opcode, size_t size, uint32_t receivers);

#else

#define CRE__PROBE2(name, a, b)    ((void)0)
#define CRE__PROBE3(name, a, b, c) ((void)0)
#define CRE__CALL_PROBE(name, ...) ((void)0)

#endif

#endif
