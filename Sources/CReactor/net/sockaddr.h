/* Addresses in the system's form. */
#ifndef CRE_ENGINE_SOCKADDR_H
#define CRE_ENGINE_SOCKADDR_H

#include <creactor/address.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef union cre__sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    struct sockaddr_storage storage;
} cre__sockaddr;

/* The size of what *out is then; 0 when it is no address. */
socklen_t cre__address_to_system(const cre_address *address, cre__sockaddr *out);
void cre__address_from_system(const cre__sockaddr *address, socklen_t size, cre_address *out);
/* Whether its members fit each other: it may come from a process that is not trusted. */
bool cre__address_valid(const cre_address *address);

#endif
