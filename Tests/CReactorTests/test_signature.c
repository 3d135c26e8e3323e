/* Signatures of tokens: the examples of RFC 7515, and all that must not pass. */
#include <creactor/error.h>
#include <creactor/signature.h>

#include "signatures.h"
#include "test.h"

#ifdef CRE_HAVE_TLS

static int verify(const cre_signature_key *key, const char *message, const uint8_t *signature,
                  size_t length) {
    return cre_signature_verify(key, message, strlen(message), signature, length);
}

/* The signature passes; with any bit changed, shortened or lengthened, and for another message, it does not.
 */
static void check_vector(const cre_signature_key *key, const char *message, const uint8_t *signature,
                         size_t length) {
    uint8_t copy[512];
    CHECK_EQ(verify(key, message, signature, length), 0);
    for (size_t bit = 0; bit < length * 8; bit += TEST_STRIDE) {
        memcpy(copy, signature, length);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK_EQ(verify(key, message, copy, length), CRE_ESIGNATURE);
    }
    memcpy(copy, signature, length);
    copy[length] = 0;
    CHECK_EQ(verify(key, message, copy, length + 1), CRE_ESIGNATURE);
    CHECK_EQ(verify(key, message, copy, length - 1), CRE_ESIGNATURE);
    CHECK_EQ(verify(key, message, copy, 0), CRE_ESIGNATURE);
    CHECK_EQ(verify(key, message + 1, copy, length), CRE_ESIGNATURE);
    CHECK_EQ(verify(key, "", copy, length), CRE_ESIGNATURE);
}

TEST(hs256) {
    cre_signature_key *key;
    REQUIRE(cre_signature_key_secret(hs_secret, sizeof hs_secret, &key) == 0);
    CHECK_EQ(cre_signature_key_algorithm(key), CRE_SIGNATURE_HS256);
    check_vector(key, hs_message, hs_signature, sizeof hs_signature);
    cre_signature_key_destroy(key);
    CHECK_EQ(cre_signature_key_secret(hs_secret, CRE_SIGNATURE_SECRET_MIN - 1, &key), CRE_ESIGNATURE_KEY);
    CHECK_EQ(cre_signature_key_secret("", 0, &key), CRE_ESIGNATURE_KEY);
    static uint8_t large[CRE_SIGNATURE_SECRET_MAX + 1];
    CHECK_EQ(cre_signature_key_secret(large, sizeof large, &key), CRE_ESIGNATURE_KEY);
    REQUIRE(cre_signature_key_secret(large, sizeof large - 1, &key) == 0);
    cre_signature_key_destroy(key);
    cre_signature_key_destroy(NULL);
}

TEST(rs256) {
    cre_signature_key *key;
    REQUIRE(cre_signature_key_rsa(rs_modulus, sizeof rs_modulus, rs_exponent, sizeof rs_exponent, &key) == 0);
    CHECK_EQ(cre_signature_key_algorithm(key), CRE_SIGNATURE_RS256);
    check_vector(key, rs_message, rs_signature, sizeof rs_signature);
    cre_signature_key_destroy(key);
    REQUIRE(cre_signature_key_pem(CRE_SIGNATURE_RS256, rs_pem, sizeof rs_pem - 1, &key) == 0);
    CHECK_EQ(verify(key, rs_message, rs_signature, sizeof rs_signature), 0);
    cre_signature_key_destroy(key);
}

TEST(es256) {
    cre_signature_key *key;
    REQUIRE(cre_signature_key_p256(es_x, es_y, &key) == 0);
    CHECK_EQ(cre_signature_key_algorithm(key), CRE_SIGNATURE_ES256);
    check_vector(key, es_message, es_signature, sizeof es_signature);
    static const uint8_t zero[64];
    uint8_t half[64];
    CHECK_EQ(verify(key, es_message, zero, sizeof zero), CRE_ESIGNATURE);
    memcpy(half, es_signature, 32);
    memset(half + 32, 0, 32);
    CHECK_EQ(verify(key, es_message, half, sizeof half), CRE_ESIGNATURE);
    memset(half, 0xFF, sizeof half);
    CHECK_EQ(verify(key, es_message, half, sizeof half), CRE_ESIGNATURE);
    cre_signature_key_destroy(key);
    REQUIRE(cre_signature_key_pem(CRE_SIGNATURE_ES256, es_pem, sizeof es_pem - 1, &key) == 0);
    CHECK_EQ(verify(key, es_message, es_signature, sizeof es_signature), 0);
    /* The signature of another algorithm. */
    CHECK_EQ(verify(key, rs_message, rs_signature, sizeof rs_signature), CRE_ESIGNATURE);
    CHECK_EQ(verify(key, hs_message, hs_signature, sizeof hs_signature), CRE_ESIGNATURE);
    cre_signature_key_destroy(key);
}

static int pem(cre_signature_algorithm algorithm, const char *text, size_t length) {
    cre_signature_key *key;
    int result = cre_signature_key_pem(algorithm, text, length, &key);
    if (!result) cre_signature_key_destroy(key);
    return result;
}

TEST(keys_of_other_types_are_refused) {
    CHECK_EQ(pem(CRE_SIGNATURE_ES256, rs_pem, sizeof rs_pem - 1), CRE_ESIGNATURE_KEY);
    CHECK_EQ(pem(CRE_SIGNATURE_RS256, es_pem, sizeof es_pem - 1), CRE_ESIGNATURE_KEY);
    CHECK_EQ(pem(CRE_SIGNATURE_RS256, small_pem, sizeof small_pem - 1), CRE_ESIGNATURE_KEY);
    CHECK_EQ(pem(CRE_SIGNATURE_ES256, p384_pem, sizeof p384_pem - 1), CRE_ESIGNATURE_KEY);
    CHECK_EQ(pem(CRE_SIGNATURE_ES256, private_pem, sizeof private_pem - 1), CRE_ESIGNATURE_KEY);
    CHECK_EQ(pem(CRE_SIGNATURE_HS256, rs_pem, sizeof rs_pem - 1), CRE_EINVALID);
    CHECK_EQ(pem(CRE_SIGNATURE_RS256, "", 0), CRE_ESIGNATURE_KEY);
    CHECK_EQ(pem(CRE_SIGNATURE_RS256, "text", 4), CRE_ESIGNATURE_KEY);
    CHECK_EQ(pem(CRE_SIGNATURE_RS256, rs_pem, CRE_SIGNATURE_PEM_MAX + 1), CRE_ESIGNATURE_KEY);
    for (size_t length = 0; length < sizeof es_pem - 2; length += TEST_STRIDE)
        CHECK_EQ(pem(CRE_SIGNATURE_ES256, es_pem, length), CRE_ESIGNATURE_KEY);
}

TEST(parameters_are_checked) {
    cre_signature_key *key;
    static const uint8_t one[] = { 1 }, even[] = { 4 }, nine[9] = { 1, 0, 0, 0, 0, 0, 0, 0, 1 };
    size_t size = sizeof rs_modulus;
    CHECK_EQ(cre_signature_key_rsa(rs_modulus, size, one, 1, &key), CRE_ESIGNATURE_KEY);
    CHECK_EQ(cre_signature_key_rsa(rs_modulus, size, even, 1, &key), CRE_ESIGNATURE_KEY);
    CHECK_EQ(cre_signature_key_rsa(rs_modulus, size, nine, 9, &key), CRE_ESIGNATURE_KEY);
    CHECK_EQ(cre_signature_key_rsa(rs_modulus, size, one, 0, &key), CRE_ESIGNATURE_KEY);
    CHECK_EQ(cre_signature_key_rsa(rs_modulus, size - 1, rs_exponent, 3, &key), CRE_ESIGNATURE_KEY);
    CHECK_EQ(cre_signature_key_rsa(rs_modulus, 0, rs_exponent, 3, &key), CRE_ESIGNATURE_KEY);
    static uint8_t huge[CRE_SIGNATURE_RSA_MAX / 8 + 1];
    memset(huge, 0xFF, sizeof huge);
    CHECK_EQ(cre_signature_key_rsa(huge, sizeof huge, rs_exponent, 3, &key), CRE_ESIGNATURE_KEY);

    uint8_t coordinate[32];
    memcpy(coordinate, es_y, 32);
    coordinate[31] ^= 1; /* beside the curve */
    CHECK_EQ(cre_signature_key_p256(es_x, coordinate, &key), CRE_ESIGNATURE_KEY);
    memset(coordinate, 0, 32);
    CHECK_EQ(cre_signature_key_p256(coordinate, coordinate, &key), CRE_ESIGNATURE_KEY);
    memset(coordinate, 0xFF, 32);
    CHECK_EQ(cre_signature_key_p256(coordinate, coordinate, &key), CRE_ESIGNATURE_KEY);
}

#else

TEST(without_openssl_there_are_no_keys) {
    cre_signature_key *key;
    CHECK_EQ(cre_signature_key_secret(hs_secret, sizeof hs_secret, &key), CRE_EUNSUPPORTED);
    CHECK_EQ(cre_signature_key_pem(CRE_SIGNATURE_RS256, rs_pem, sizeof rs_pem - 1, &key), CRE_EUNSUPPORTED);
    CHECK_EQ(cre_signature_key_p256(es_x, es_y, &key), CRE_EUNSUPPORTED);
}

#endif

TEST(secrets_are_compared) {
    CHECK(cre_secret_equal("", 0, "", 0));
    CHECK(cre_secret_equal(NULL, 0, NULL, 0));
    CHECK(cre_secret_equal("secret", 6, "secret", 6));
    CHECK(!cre_secret_equal("secret", 6, "", 0));
    CHECK(!cre_secret_equal("", 0, "secret", 6));
    CHECK(!cre_secret_equal("\0", 1, "", 0));
    CHECK(!cre_secret_equal("secretsecret", 12, "secret", 6));
    CHECK(!cre_secret_equal("sec", 3, "secret", 6));
    for (size_t i = 0; i < 6; i++) {
        char text[] = "secret";
        text[i] ^= 1;
        CHECK(!cre_secret_equal(text, 6, "secret", 6));
    }
}

TEST_MAIN()
