/*
 * HTTP/1.1 without I/O: no sockets, no clock, no allocation.
 *
 * All functions work on memory of the caller and keep no state of their own. Any thread may call them, as
 * long as no two threads use one object at the same time. None calls back.
 */
#ifndef CREACTOR_HTTP_H
#define CREACTOR_HTTP_H

#include "http_chunked.h"
#include "http_cookie.h"
#include "http_date.h"
#include "http_head.h"
#include "http_list.h"
#include "http_multipart.h"
#include "http_uri.h"
#include "http_write.h"

#endif
