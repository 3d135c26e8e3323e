/* Signatures by a private key of Ed25519. */
#include <creactor/error.h>
#include <creactor/signature.h>

#ifdef CRE_HAVE_TLS
#include <openssl/err.h>
#include <openssl/evp.h>

int cre_ed25519_public(const uint8_t seed[32], uint8_t out[32]) {
    size_t length = 32;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    const bool done = key && EVP_PKEY_get_raw_public_key(key, out, &length) == 1;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return done ? 0 : CRE_ENOMEM;
}

int cre_ed25519_sign(const uint8_t seed[32], const void *message, size_t length, uint8_t out[64]) {
    size_t size = 64;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool done = key && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                      EVP_DigestSign(context, out, &size, message, length) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return done ? 0 : CRE_ENOMEM;
}

#else

int cre_ed25519_public(const uint8_t seed[32], uint8_t out[32]) {
    (void)seed;
    (void)out;
    return CRE_EUNSUPPORTED;
}

int cre_ed25519_sign(const uint8_t seed[32], const void *message, size_t length, uint8_t out[64]) {
    (void)seed;
    (void)message;
    (void)length;
    (void)out;
    return CRE_EUNSUPPORTED;
}

#endif
