#include "CDashboard.h"

/* Clang has #embed since version 19, with a warning that it is C23. Swift toolchains have it since 6.2. */
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page[] = {
#embed "dashboard.html"
};

const unsigned char *cda_page(size_t *length) {
    *length = sizeof page;
    return page;
}
