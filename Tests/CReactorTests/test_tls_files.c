/* Certificates and keys from files: what is read, and what is said when it cannot be. */
#ifndef CRE_HAVE_TLS
#include "test.h"

TEST(nothing_without_tls) {
    CHECK(true);
}

#else
#include "tls_net.h"

static char folder[64];

static const char *path(const char *name) {
    static char paths[32][128];
    static int next;
    char *out = paths[next++ % 32];
    snprintf(out, sizeof paths[0], "%s/%s", folder, name);
    return out;
}

static const char *write_file(const char *name, const char *text) {
    const char *file = path(name);
    FILE *out = fopen(file, "w");
    REQUIRE(out != NULL);
    fputs(text, out);
    fclose(out);
    return file;
}

static void begin(void) {
    strcpy(folder, "/tmp/creactor-tls-XXXXXX");
    REQUIRE(mkdtemp(folder) != NULL);
}

static void end(void) {
    static const char *const names[] = { "chain.pem", "key.pem", "both.pem", "bad.pem" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path(names[i]));
    CHECK_EQ(rmdir(folder), 0);
}

static void works(const cre_tls_config *config) {
    char why[CRE_TLS_MESSAGE];
    cre_tls *tls = NULL;
    int result = cre_tls_create(config, &tls, why);
    if (result) TEST_FAIL("%s", why);
    cre_tls_release(tls);
}

static void fails(const cre_tls_config *config, const char *expected) {
    char why[CRE_TLS_MESSAGE] = "";
    cre_tls *tls = NULL;
    CHECK_EQ(cre_tls_create(config, &tls, why), CRE_ETLS_CONFIG);
    if (!strstr(why, expected)) TEST_FAIL("said \"%s\", expected \"%s\"", why, expected);
    CHECK_EQ(ERR_peek_error(), 0);
}

static void pair_fails(const char *chain, const char *key, const char *expected) {
    cre_tls_certificate own = { .size = sizeof own, .chain.file = chain, .key.file = key };
    fails(&(cre_tls_config){ .size = sizeof(cre_tls_config), .certificates = &own, .count = 1 }, expected);
}

TEST(files) {
    begin();
    const char *chain = write_file("chain.pem", server.chain_pem),
               *key = write_file("key.pem", server.key_pem);
    cre_tls_certificate own = { .size = sizeof own, .chain.file = chain, .key.file = key };
    works(&(cre_tls_config){ .size = sizeof(cre_tls_config), .certificates = &own, .count = 1 });
    char *both = malloc(strlen(server.key_pem) + strlen(server.chain_pem) + strlen(authority.chain_pem) + 1);
    sprintf(both, "%s%s%s", server.key_pem, server.chain_pem, authority.chain_pem);
    own = (cre_tls_certificate){ .size = sizeof(cre_tls_certificate),
                                 .chain.file = write_file("both.pem", both) };
    works(&(cre_tls_config){ .size = sizeof(cre_tls_config), .certificates = &own, .count = 1 });

    pair_fails(path("none.pem"), key, "none.pem: No such file or directory");
    pair_fails(chain, path("none.pem"), "none.pem: No such file or directory");
    pair_fails(folder, key, ": Is a directory");
    pair_fails("/dev/zero", key, "/dev/zero: not a PEM file: too large");
    pair_fails(key, key, "key.pem: there is no certificate in it");
    pair_fails(chain, chain, "chain.pem: there is no private key in it");
    pair_fails(write_file("bad.pem", ""), key, "bad.pem: there is no certificate in it");
    pair_fails(write_file("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), key,
               "bad.pem: damaged certificate: ");
    both[strlen(both) - 100] = 0; /* the second certificate breaks off */
    pair_fails(write_file("bad.pem", strstr(both, "-----BEGIN CERT")), key, "bad.pem: damaged certificate: ");
    pair_fails(chain, write_file("bad.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
               "bad.pem: damaged private key: ");
    pair_fails(chain, write_file("bad.pem", other_server.key_pem),
               "bad.pem: the private key does not belong to the certificate in ");
    BIO *bio = BIO_new(BIO_s_mem());
    char password[] = "secret";
    PEM_write_bio_PrivateKey(bio, server.key, EVP_aes_128_cbc(), NULL, 0, NULL, password);
    char *locked = pem_text(bio);
    pair_fails(chain, write_file("bad.pem", locked), "bad.pem: the private key has a password");
    free(locked);
    free(both);
    end();
}

TEST(other_settings) {
    cre_tls_certificate all[] = { certificate_of(&server, NULL), certificate_of(&other_server, "a.example"),
                                  certificate_of(&other_server, "A.Example") };
    fails(&(cre_tls_config){ .size = sizeof(cre_tls_config) }, "TLS needs a certificate");
    fails(&(cre_tls_config){ .size = sizeof(cre_tls_config), .certificates = all, .count = 3 },
          "there are two certificates for the host A.Example");
    static const char *const names[] = { "", "*", "*.", "a.*", "*.*.example" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        all[1].host = names[i];
        fails(&(cre_tls_config){ .size = sizeof(cre_tls_config), .certificates = all, .count = 2 },
              "is not a host name");
    }
    all[1].host = NULL;
    fails(&(cre_tls_config){ .size = sizeof(cre_tls_config), .certificates = all, .count = 2 },
          "a further certificate has no host name");
    fails(&(cre_tls_config){ .size = sizeof(cre_tls_config),
                             .certificates = all,
                             .count = 1,
                             .clients = CRE_TLS_CLIENTS_REQUIRED },
          "certificates of clients cannot be checked without an authority");
    fails(&(cre_tls_config){ .size = sizeof(cre_tls_config),
                             .certificates = all,
                             .count = 1,
                             .clients = CRE_TLS_CLIENTS_OPTIONAL,
                             .client_authorities = in_memory("nothing") },
          "the client authorities in memory: there is no certificate in it");
    fails(
        &(cre_tls_config){
            .size = sizeof(cre_tls_config), .certificates = all, .count = 1, .protocols = "a,,b" },
        "the list of protocols");
    all[0].key = in_memory(other_server.key_pem);
    fails(
        &(cre_tls_config){ .size = sizeof(cre_tls_config), .certificates = all, .count = 1 },
        "the private key in memory: the private key does not belong to the certificate in the certificate in");
}

static bool create(void) {
    char why[CRE_TLS_MESSAGE];
    cre_tls *tls = NULL;
    cre_tls_certificate all[] = { certificate_of(&server, NULL), certificate_of(&other_server, "a.example") };
    cre_tls_config config = { .size = sizeof config, .certificates = all, .count = 2 };
    if (cre_tls_create(&config, &tls, why)) return false;
    int result = cre_tls_reload(tls, &config, why);
    cre_tls_release(tls);
    return result == 0;
}

TEST(no_memory) {
    test_fail_each_allocation(create);
}
#endif

TEST_MAIN()
