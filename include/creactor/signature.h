/*
 * Signatures of JSON Web Tokens (RFC 7518): HMAC with SHA-256, RSA PKCS#1 v1.5 with SHA-256, ECDSA on P-256
 * with SHA-256.
 *
 * A key belongs to one algorithm from its creation on, so a signature is never verified with another
 * algorithm than that of its key. Keys do not change: any thread may use a key at any time, except
 * cre_signature_key_destroy while another thread uses it. Without TLS support in the build every key is
 * CRE_EUNSUPPORTED.
 */
#ifndef CREACTOR_SIGNATURE_H
#define CREACTOR_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

#define CRE_SIGNATURE_SECRET_MIN 32    /* bytes of an HS256 secret: as many as its hash has (RFC 7518) */
#define CRE_SIGNATURE_SECRET_MAX 4096  /* bytes */
#define CRE_SIGNATURE_RSA_MIN    2048  /* bits of a modulus (RFC 7518 section 3.3) */
#define CRE_SIGNATURE_RSA_MAX    8192  /* bits */
#define CRE_SIGNATURE_PEM_MAX    65536 /* bytes */

/** The algorithms of JSON Web Tokens that are supported. */
typedef enum cre_signature_algorithm {
    CRE_SIGNATURE_HS256 = 1, /* HMAC with SHA-256 */
    CRE_SIGNATURE_RS256 = 2, /* RSASSA-PKCS1-v1_5 with SHA-256 */
    CRE_SIGNATURE_ES256 = 3, /* ECDSA with P-256 and SHA-256 */
} cre_signature_algorithm;

typedef struct cre_signature_key cre_signature_key;

/** Creates an HS256 key from a copy of a secret. Returns 0 and *out, CRE_ESIGNATURE_KEY for a secret shorter
 * than CRE_SIGNATURE_SECRET_MIN or longer than CRE_SIGNATURE_SECRET_MAX, CRE_ENOMEM or CRE_EUNSUPPORTED. */
CRE_NODISCARD CRE_API int cre_signature_key_secret(const void *secret, size_t length,
                                                   cre_signature_key **out);

/** Creates an RS256 or ES256 key from a public key or certificate in PEM. Returns 0 and *out,
 * CRE_ESIGNATURE_KEY when the text has no public key of the algorithm's type and size, CRE_EINVALID for
 * another algorithm, CRE_ENOMEM or CRE_EUNSUPPORTED. */
CRE_NODISCARD CRE_API int cre_signature_key_pem(cre_signature_algorithm algorithm, const char *pem,
                                                size_t length, cre_signature_key **out);

/** Creates an RS256 key from modulus and exponent, both big-endian. Returns what cre_signature_key_pem does.
 */
CRE_NODISCARD CRE_API int cre_signature_key_rsa(const uint8_t *modulus, size_t modulus_length,
                                                const uint8_t *exponent, size_t exponent_length,
                                                cre_signature_key **out);

/** Creates an ES256 key from the coordinates of a point on P-256, 32 bytes each, big-endian. Returns
 * what cre_signature_key_pem does. */
CRE_NODISCARD CRE_API int cre_signature_key_p256(const uint8_t x[32], const uint8_t y[32],
                                                 cre_signature_key **out);

/** Destroys a key and erases a secret. NULL is ignored. */
CRE_API void cre_signature_key_destroy(cre_signature_key *key);

/** The algorithm of a key. */
CRE_API cre_signature_algorithm cre_signature_key_algorithm(const cre_signature_key *key);

/** Verifies the signature of a message, in the form of RFC 7518: for ES256 r and s, 32 bytes each. Returns 0,
 * CRE_ESIGNATURE when the signature is not that of the message, or CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_signature_verify(const cre_signature_key *key, const void *message,
                                               size_t length, const uint8_t *signature,
                                               size_t signature_length);

/** Returns whether a text from a client is the secret. The time depends on the lengths only, and not on where
 * the texts differ. */
CRE_NODISCARD CRE_API bool cre_secret_equal(const void *text, size_t text_length, const void *secret,
                                            size_t secret_length);

/** Computes the public key of a private key of Ed25519 (RFC 8032), both 32 bytes. Returns 0, CRE_ENOMEM or
 * CRE_EUNSUPPORTED. Any thread, as below. */
CRE_NODISCARD CRE_API int cre_ed25519_public(const uint8_t seed[32], uint8_t out[32]);

/** Signs a message with a private key of Ed25519. Returns what cre_ed25519_public does. */
CRE_NODISCARD CRE_API int cre_ed25519_sign(const uint8_t seed[32], const void *message, size_t length,
                                           uint8_t out[64]);

CRE_END_DECLS

#endif
