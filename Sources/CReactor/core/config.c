#include "core/config.h"

#include <creactor/error.h>
#include <stdbool.h>
#include <string.h>

/* No configuration is larger. */
#define MAX_SIZE ((size_t)4096)

/* The size that a configuration starts with, 0 when it cannot be one. */
static size_t size_of(const void *config) {
    size_t size;
    memcpy(&size, config, sizeof size);
    return size % sizeof size == 0 && size > sizeof size && size <= MAX_SIZE ? size : 0;
}

static bool is_zero(const unsigned char *bytes, size_t length) {
    while (length && !*bytes) {
        bytes++;
        length--;
    }
    return !length;
}

int cre__config_take(void *to, size_t known, const void *from) {
    if (!from) return CRE_EINVALID;
    size_t size = size_of(from);
    if (!size) return CRE_ECONFIG_SIZE;
    if (size > known) {
        if (!is_zero((const unsigned char *)from + known, size - known)) return CRE_ECONFIG_SIZE;
        size = known;
    }
    memcpy(to, from, size);
    memset((char *)to + size, 0, known - size);
    memcpy(to, &known, sizeof known);
    return 0;
}

int cre__config_take_at(void *to, size_t known, const void *array, size_t index) {
    if (!array) return CRE_EINVALID;
    size_t size = size_of(array);
    const char *element = (const char *)array + index * size;
    if (size_of(element) != size) return CRE_ECONFIG_SIZE;
    return cre__config_take(to, known, element);
}

void cre__config_give(void *to, size_t size, const void *from, size_t known) {
    if (size > known) {
        memset((char *)to + known, 0, size - known);
        size = known;
    }
    memcpy(to, from, size);
}
