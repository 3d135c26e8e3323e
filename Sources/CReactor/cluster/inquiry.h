/* Finding the server of a shard: questions for a sentinel and the server that it names, or for a node of a
 * Redis Cluster, before the broker gets the connection. Without I/O. */
#ifndef CRE_CLUSTER_INQUIRY_H
#define CRE_CLUSTER_INQUIRY_H

#include <creactor/buffer.h>
#include <creactor/redis_session.h>
#include <stdint.h>

enum { CRE__MAX_HOST = 255 };

typedef enum cre__question { CRE__ASKS_MASTER, CRE__ASKS_ROLE, CRE__ASKS_SLOT } cre__question;

/* One question to a new connection. */
typedef struct cre__inquiry {
    cre_redis_session *session;   /* NULL: there is none */
    char host[CRE__MAX_HOST + 1]; /* the answer; empty: the host that was asked */
    uint16_t port;
    uint16_t slot;
    cre__question question;
    char refusal[128]; /* what the server said in place of an answer; empty: nothing */
    /* Called for each node with a host while a reply about a slot is read. */
    void (*node)(void *context, const char *host, uint16_t port);
    void *context;
} cre__inquiry;

/* Asks a sentinel for the address of the master of this name, or with NULL a server whether it is a master,
 * after AUTH if there is a password. Returns 0, or an error of cre_redis_session_create and
 * cre_redis_session_command. */
int cre__inquiry_begin(cre__inquiry *inquiry, const char *master, const char *user, const char *password);

/* Asks a node of a Redis Cluster which one serves a slot, after AUTH if there is a password. Returns what
 * cre__inquiry_begin does. */
int cre__inquiry_begin_slot(cre__inquiry *inquiry, uint32_t slot, const char *user, const char *password,
                            void (*node)(void *context, const char *host, uint16_t port), void *context);

/* The bytes to send. */
cre_slice cre__inquiry_output(const cre__inquiry *inquiry);

/* Reads the reply. Returns 1 when it is the wanted one, 0 when there is more to come; CRE_EBROKER_NO_MASTER
 * when the sentinel knows no such master or the server is none, CRE_EBROKER_NO_CLUSTER when the server is no
 * node, CRE_EBROKER_NO_NODE when none serves the slot, CRE_EBROKER_REFUSED for another error, or that of a
 * malformed reply. */
int cre__inquiry_received(cre__inquiry *inquiry, const uint8_t *data, size_t length);

/* Ends it; may be called again. */
void cre__inquiry_end(cre__inquiry *inquiry);

#endif
