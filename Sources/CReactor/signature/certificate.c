/* The contents of certificates, as handlers get them. */
#include <creactor/error.h>
#include <creactor/internal/certificate.h>

#include "core/memory.h"

#ifdef CRE_HAVE_TLS
#include <limits.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>

/* Texts are gathered in memory that moves as it grows: until it is complete, slices have offsets for
 * pointers. */
typedef struct gathering {
    BIO *bytes;
    cre_certificate found;
    cre_certificate_name *names;
    bool failed;
} gathering;

static size_t gathered(const gathering *to) {
    char *bytes;
    return (size_t)BIO_get_mem_data(to->bytes, &bytes);
}

static cre_slice since(const gathering *to, size_t start) {
    return (cre_slice){ .data = (const uint8_t *)(uintptr_t)start, .length = gathered(to) - start };
}

static cre_slice add(gathering *to, const void *bytes, int length) {
    const size_t start = gathered(to);
    if (length > 0 && BIO_write(to->bytes, bytes, length) != length) to->failed = true;
    return since(to, start);
}

static cre_slice add_distinguished_name(gathering *to, const X509_NAME *name) {
    const size_t start = gathered(to);
    /* Bytes above 127 as they are: it is UTF-8. */
    if (X509_NAME_print_ex(to->bytes, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0)
        to->failed = true;
    return since(to, start);
}

static cre_slice add_common_name(gathering *to, const X509_NAME *subject) {
    int at = -1, last = -1;
    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
        last = at;
    if (last < 0) return add(to, NULL, 0);
    unsigned char *text = NULL;
    int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
    /* One that another program reads up to a zero byte is another name there. */
    bool usable = length > 0 && !memchr(text, 0, (size_t)length);
    cre_slice added = add(to, text, usable ? length : 0);
    OPENSSL_free(text);
    return added;
}

static bool is_printable(const uint8_t *bytes, int length) {
    for (int i = 0; i < length; i++)
        if (bytes[i] < 0x21 || bytes[i] > 0x7e) return false;
    return length > 0;
}

static void add_alternative_name(gathering *to, const GENERAL_NAME *name) {
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    cre_certificate_name_kind kind;
    switch (type) {
    case GEN_DNS: kind = CRE_CERTIFICATE_DNS; break;
    case GEN_EMAIL: kind = CRE_CERTIFICATE_EMAIL; break;
    case GEN_URI: kind = CRE_CERTIFICATE_URI; break;
    case GEN_IPADD: kind = CRE_CERTIFICATE_ADDRESS; break;
    default: return;
    }
    const uint8_t *bytes = ASN1_STRING_get0_data(value);
    const int length = ASN1_STRING_length(value);
    bool valid = kind == CRE_CERTIFICATE_ADDRESS ? length == 4 || length == 16 : is_printable(bytes, length);
    if (valid) to->names[to->found.name_count++] = (cre_certificate_name){ kind, add(to, bytes, length) };
}

static void add_alternative_names(gathering *to, const X509 *certificate) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const int count = names ? sk_GENERAL_NAME_num(names) : 0;
    to->names = count > 0 ? cre__calloc((size_t)count, sizeof *to->names) : NULL;
    if (count > 0 && !to->names) to->failed = true;
    for (int i = 0; i < count && to->names; i++)
        add_alternative_name(to, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
}

static int64_t unix_time(gathering *to, const ASN1_TIME *time) {
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;
    if (!epoch || ASN1_TIME_diff(&days, &seconds, epoch, time) != 1) to->failed = true;
    ASN1_TIME_free(epoch);
    return (int64_t)days * 86400 + seconds;
}

static void gather(gathering *to, const X509 *certificate) {
    cre_certificate *found = &to->found;
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    found->subject = add_distinguished_name(to, X509_get_subject_name(certificate));
    found->issuer = add_distinguished_name(to, X509_get_issuer_name(certificate));
    found->common_name = add_common_name(to, X509_get_subject_name(certificate));
    found->serial = add(to, ASN1_STRING_get0_data(serial), ASN1_STRING_length(serial));
    found->not_before = unix_time(to, X509_get0_notBefore(certificate));
    found->not_after = unix_time(to, X509_get0_notAfter(certificate));
    add_alternative_names(to, certificate);
}

static void place(cre_slice *slice, const uint8_t *text) {
    slice->data = text + (uintptr_t)slice->data;
}

/* Everything in one allocation. */
static cre_certificate *assemble(const gathering *from) {
    char *bytes;
    const size_t text = (size_t)BIO_get_mem_data(from->bytes, &bytes);
    const size_t table = from->found.name_count * sizeof *from->names;
    cre_certificate *made = cre__malloc(sizeof *made + table + text);
    if (!made) return NULL;
    *made = from->found;
    cre_certificate_name *names = (cre_certificate_name *)(made + 1);
    uint8_t *copy = (uint8_t *)names + table;
    if (text) memcpy(copy, bytes, text);
    if (table) memcpy(names, from->names, table);
    for (size_t i = 0; i < made->name_count; i++)
        place(&names[i].value, copy);
    place(&made->subject, copy);
    place(&made->issuer, copy);
    place(&made->common_name, copy);
    place(&made->serial, copy);
    made->names = names;
    return made;
}

int cre_certificate_read(const uint8_t *der, size_t length, cre_certificate **out) {
    const unsigned char *at = der;
    X509 *certificate = length && length <= LONG_MAX ? d2i_X509(NULL, &at, (long)length) : NULL;
    if (!certificate || at != der + length) {
        X509_free(certificate);
        ERR_clear_error();
        return CRE_EINVALID;
    }
    gathering to = { .bytes = BIO_new(BIO_s_mem()) };
    cre_certificate *made = NULL;
    if (to.bytes) gather(&to, certificate);
    if (to.bytes && !to.failed) made = assemble(&to);
    if (made) SHA256(der, length, made->fingerprint);
    cre__free(to.names);
    BIO_free(to.bytes);
    X509_free(certificate);
    ERR_clear_error();
    if (!made) return CRE_ENOMEM;
    *out = made;
    return 0;
}

#else

int cre_certificate_read(const uint8_t *der, size_t length, cre_certificate **out) {
    (void)der, (void)length, (void)out;
    return CRE_EUNSUPPORTED;
}

#endif

void cre_certificate_free(cre_certificate *certificate) {
    cre__free(certificate);
}
