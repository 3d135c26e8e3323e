/*
 * HTTP/1.1 as bytes in, facts and bytes out: no sockets, no clock, no allocation.
 *
 * Every function here works on memory of the caller and keeps no state of its own, so any thread may call it
 * as long as no two threads use one object at a time. Nothing calls back.
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
