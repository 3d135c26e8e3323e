/*
 * The contents of a certificate. Any thread may call these functions.
 */
#ifndef CREACTOR_CERTIFICATE_H
#define CREACTOR_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

#include "../buffer.h"
#include "../export.h"

CRE_BEGIN_DECLS

/** The kinds of names beside the subject. */
typedef enum cre_certificate_name_kind {
    CRE_CERTIFICATE_DNS,     /* a host name */
    CRE_CERTIFICATE_EMAIL,   /* an e-mail address */
    CRE_CERTIFICATE_URI,     /* a URI */
    CRE_CERTIFICATE_ADDRESS, /* an IP address: 4 or 16 bytes */
} cre_certificate_name_kind;

/** A name beside the subject. */
typedef struct cre_certificate_name {
    cre_certificate_name_kind kind;
    cre_slice value;
} cre_certificate_name;

/** The contents of a certificate. */
typedef struct cre_certificate {
    cre_slice subject, issuer; /* distinguished names in the form of RFC 4514, UTF-8 */
    cre_slice common_name;     /* the most specific one of the subject, UTF-8; empty: none */
    cre_slice serial;          /* the bytes of the serial number */
    uint8_t fingerprint[32];   /* SHA-256 of the certificate */
    int64_t not_before;        /* Unix time in seconds, as the next one */
    int64_t not_after;
    size_t name_count;
    const cre_certificate_name *names; /* without those of other kinds, and without malformed ones */
} cre_certificate;

/** Reads a certificate in DER. Returns 0 and *out, owned by the caller; CRE_EINVALID when it is malformed,
 * CRE_ENOMEM, or CRE_EUNSUPPORTED in a build without TLS. */
CRE_NODISCARD CRE_API int cre_certificate_read(const uint8_t *der, size_t length, cre_certificate **out);

/** Frees the contents. NULL is ignored. */
CRE_API void cre_certificate_free(cre_certificate *certificate);

CRE_END_DECLS

#endif
