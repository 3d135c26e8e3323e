#ifndef CDASHBOARD_H
#define CDASHBOARD_H

#include <stddef.h>

/*
 * The page of the dashboard: the file dashboard.html as it was at build time, so that a program needs no file
 * beside it. The bytes are UTF-8 without a terminating NUL, belong to the program and never change.
 */
const unsigned char *cda_page(size_t *length);

#endif
