#include <creactor/error.h>
#include <creactor/signature.h>

#ifdef CRE_HAVE_TLS
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "core/memory.h"

#define HASH 32 /* bytes of SHA-256 and of a number of P-256 */

struct cre_signature_key {
    cre_signature_algorithm algorithm;
    EVP_PKEY *public_key; /* of RS256 and ES256 */
    size_t length;        /* of the secret of HS256, which follows */
    uint8_t secret[];
};

/* ---- keys ---- */

static int new_key(cre_signature_algorithm algorithm, size_t length, cre_signature_key **out) {
    cre_signature_key *key = cre__malloc(sizeof *key + length);
    if (!key) return CRE_ENOMEM;
    *key = (cre_signature_key){ .algorithm = algorithm, .length = length };
    *out = key;
    return 0;
}

int cre_signature_key_secret(const void *secret, size_t length, cre_signature_key **out) {
    if (length < CRE_SIGNATURE_SECRET_MIN || length > CRE_SIGNATURE_SECRET_MAX) return CRE_ESIGNATURE_KEY;
    int result = new_key(CRE_SIGNATURE_HS256, length, out);
    if (!result) memcpy((*out)->secret, secret, length);
    return result;
}

static bool fits(cre_signature_algorithm algorithm, EVP_PKEY *key) {
    if (algorithm == CRE_SIGNATURE_RS256) {
        /* Not EVP_PKEY_RSA_PSS, which is limited to another algorithm. */
        if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) return false;
        int bits = EVP_PKEY_get_bits(key);
        return bits >= CRE_SIGNATURE_RSA_MIN && bits <= CRE_SIGNATURE_RSA_MAX;
    }
    char group[32];
    size_t length;
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1 &&
           !strcmp(group, SN_X9_62_prime256v1);
}

/* OpenSSL accepts exponents with which any signature verifies (1), or that are even. */
static bool is_valid(EVP_PKEY *key) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool valid = context && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    BIGNUM *exponent = NULL;
    if (valid && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        valid = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 && BN_is_odd(exponent) &&
                !BN_is_one(exponent) && BN_num_bits(exponent) <= 64;
    BN_free(exponent);
    return valid;
}

/* Makes a key of `public_key`, which belongs to it, or is freed after an error. */
static int adopt(cre_signature_algorithm algorithm, EVP_PKEY *public_key, cre_signature_key **out) {
    int result = public_key && fits(algorithm, public_key) && is_valid(public_key)
                     ? new_key(algorithm, 0, out)
                     : CRE_ESIGNATURE_KEY;
    ERR_clear_error();
    if (result)
        EVP_PKEY_free(public_key);
    else
        (*out)->public_key = public_key;
    return result;
}

/* Nobody is there to type a password. */
static int no_password(char *buffer, int size, int writing, void *context) {
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

int cre_signature_key_pem(cre_signature_algorithm algorithm, const char *pem, size_t length,
                          cre_signature_key **out) {
    if (algorithm != CRE_SIGNATURE_RS256 && algorithm != CRE_SIGNATURE_ES256) return CRE_EINVALID;
    if (!length || length > CRE_SIGNATURE_PEM_MAX) return CRE_ESIGNATURE_KEY;
    BIO *text = BIO_new_mem_buf(pem, (int)length);
    if (!text) return CRE_ENOMEM;
    EVP_PKEY *public_key = PEM_read_bio_PUBKEY(text, NULL, no_password, NULL);
    if (!public_key && BIO_reset(text) == 1) {
        X509 *certificate = PEM_read_bio_X509(text, NULL, no_password, NULL);
        public_key = certificate ? X509_get_pubkey(certificate) : NULL;
        X509_free(certificate);
    }
    BIO_free(text);
    return adopt(algorithm, public_key, out);
}

static EVP_PKEY *from_parameters(const char *type, OSSL_PARAM_BLD *builder) {
    EVP_PKEY *public_key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (parameters && context && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &public_key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        public_key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return public_key;
}

int cre_signature_key_rsa(const uint8_t *modulus, size_t modulus_length, const uint8_t *exponent,
                          size_t exponent_length, cre_signature_key **out) {
    if (!modulus_length || modulus_length > CRE_SIGNATURE_RSA_MAX / 8 || !exponent_length ||
        exponent_length > 8)
        return CRE_ESIGNATURE_KEY;
    EVP_PKEY *public_key = NULL;
    BIGNUM *n = BN_bin2bn(modulus, (int)modulus_length, NULL);
    BIGNUM *e = BN_bin2bn(exponent, (int)exponent_length, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    bool built = n && e && builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
                 OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1;
    if (built) public_key = from_parameters("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return built ? adopt(CRE_SIGNATURE_RS256, public_key, out) : CRE_ENOMEM;
}

int cre_signature_key_p256(const uint8_t x[32], const uint8_t y[32], cre_signature_key **out) {
    uint8_t point[1 + 2 * HASH] = { POINT_CONVERSION_UNCOMPRESSED };
    memcpy(point + 1, x, HASH);
    memcpy(point + 1 + HASH, y, HASH);
    EVP_PKEY *public_key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    bool built =
        builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1;
    if (built) public_key = from_parameters("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return built ? adopt(CRE_SIGNATURE_ES256, public_key, out) : CRE_ENOMEM;
}

void cre_signature_key_destroy(cre_signature_key *key) {
    if (!key) return;
    EVP_PKEY_free(key->public_key);
    OPENSSL_cleanse(key->secret, key->length);
    cre__free(key);
}

cre_signature_algorithm cre_signature_key_algorithm(const cre_signature_key *key) {
    return key->algorithm;
}

/* ---- verification ---- */

static int verify_secret(const cre_signature_key *key, const void *message, size_t length,
                         const uint8_t *signature, size_t signature_length) {
    uint8_t expected[HASH];
    unsigned size = 0;
    if (signature_length != HASH) return CRE_ESIGNATURE;
    if (!HMAC(EVP_sha256(), key->secret, (int)key->length, message, length, expected, &size) || size != HASH)
        return CRE_ENOMEM;
    bool equal = CRYPTO_memcmp(expected, signature, HASH) == 0;
    OPENSSL_cleanse(expected, sizeof expected);
    return equal ? 0 : CRE_ESIGNATURE;
}

static int verify_public(const cre_signature_key *key, const void *message, size_t length,
                         const uint8_t *signature, size_t signature_length) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context) return CRE_ENOMEM;
    int verified = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->public_key) == 1
                       ? EVP_DigestVerify(context, signature, signature_length, message, length)
                       : -1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return verified == 1 ? 0 : CRE_ESIGNATURE;
}

/* OpenSSL expects r and s in DER. */
static int verify_p256(const cre_signature_key *key, const void *message, size_t length,
                       const uint8_t *signature, size_t signature_length) {
    if (signature_length != (size_t)2 * HASH) return CRE_ESIGNATURE;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, HASH, NULL), *s = BN_bin2bn(signature + HASH, HASH, NULL);
    int result = CRE_ENOMEM;
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL; /* they belong to the pair now */
        uint8_t *der = NULL;
        int size = i2d_ECDSA_SIG(pair, &der);
        if (size > 0) result = verify_public(key, message, length, der, (size_t)size);
        OPENSSL_free(der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return result;
}

int cre_signature_verify(const cre_signature_key *key, const void *message, size_t length,
                         const uint8_t *signature, size_t signature_length) {
    switch (key->algorithm) {
    case CRE_SIGNATURE_HS256: return verify_secret(key, message, length, signature, signature_length);
    case CRE_SIGNATURE_RS256: return verify_public(key, message, length, signature, signature_length);
    case CRE_SIGNATURE_ES256: return verify_p256(key, message, length, signature, signature_length);
    }
    return CRE_EINVALID;
}

#else

/* Without OpenSSL there are no keys. */
int cre_signature_key_secret(const void *secret, size_t length, cre_signature_key **out) {
    (void)secret, (void)length, (void)out;
    return CRE_EUNSUPPORTED;
}

int cre_signature_key_pem(cre_signature_algorithm algorithm, const char *pem, size_t length,
                          cre_signature_key **out) {
    (void)algorithm, (void)pem, (void)length, (void)out;
    return CRE_EUNSUPPORTED;
}

int cre_signature_key_rsa(const uint8_t *modulus, size_t modulus_length, const uint8_t *exponent,
                          size_t exponent_length, cre_signature_key **out) {
    (void)modulus, (void)modulus_length, (void)exponent, (void)exponent_length, (void)out;
    return CRE_EUNSUPPORTED;
}

int cre_signature_key_p256(const uint8_t x[32], const uint8_t y[32], cre_signature_key **out) {
    (void)x, (void)y, (void)out;
    return CRE_EUNSUPPORTED;
}

void cre_signature_key_destroy(cre_signature_key *key) {
    (void)key;
}

cre_signature_algorithm cre_signature_key_algorithm(const cre_signature_key *key) {
    (void)key;
    return CRE_SIGNATURE_HS256;
}

int cre_signature_verify(const cre_signature_key *key, const void *message, size_t length,
                         const uint8_t *signature, size_t signature_length) {
    (void)key, (void)message, (void)length, (void)signature, (void)signature_length;
    return CRE_EUNSUPPORTED;
}

#endif
