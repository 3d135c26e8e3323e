#include <creactor/signature.h>

bool cre_secret_equal(const void *text, size_t text_length, const void *secret, size_t secret_length) {
    /* Volatile: a compiler must not end the loop at the first difference. */
    const volatile uint8_t *a = text, *b = secret;
    volatile uint8_t difference = text_length != secret_length;
    for (size_t i = 0; i < text_length; i++)
        difference |= (uint8_t)(a[i] ^ (secret_length ? b[i % secret_length] : 0));
    return !difference;
}
