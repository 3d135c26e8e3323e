/* Finding the master of a shard: what is said to a sentinel, and to the server that it names, before the
 * broker gets the connection. Without I/O. */
#ifndef CRE_CLUSTER_SENTINEL_H
#define CRE_CLUSTER_SENTINEL_H

#include <creactor/buffer.h>
#include <creactor/redis_session.h>
#include <stdint.h>

enum { CRE__MAX_MASTER_HOST = 255 };

/* One question to a new connection. */
typedef struct cre__inquiry {
    cre_redis_session *session;          /* NULL: there is none */
    char host[CRE__MAX_MASTER_HOST + 1]; /* the answer of a sentinel */
    uint16_t port;
    bool asks_role;
} cre__inquiry;

/* Asks a sentinel for the address of the master of this name, or with NULL a server whether it is a master,
 * after AUTH if there is a password. Returns 0, or an error of cre_redis_session_create and
 * cre_redis_session_command. */
int cre__inquiry_begin(cre__inquiry *inquiry, const char *master, const char *user, const char *password);

/* The bytes to send. */
cre_slice cre__inquiry_output(const cre__inquiry *inquiry);

/* Reads the reply. Returns 1 when it is the wanted one, 0 when there is more to come; CRE_EBROKER_NO_MASTER
 * when the sentinel knows no such master or the server is none, CRE_EBROKER_REFUSED for an error, or that of
 * a malformed reply. */
int cre__inquiry_received(cre__inquiry *inquiry, const uint8_t *data, size_t length);

/* Ends it; may be called again. */
void cre__inquiry_end(cre__inquiry *inquiry);

#endif
