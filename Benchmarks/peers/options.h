// What the C and C++ peers have in common: the port option, the ready line and the limits.
#ifndef PEER_OPTIONS_H
#define PEER_OPTIONS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELLO       "hello world."
#define MAX_MESSAGE (16u << 20)

static inline int port_option(int argc, char **argv) {
    if (argc == 1) return 0;
    if (argc == 3 && !strcmp(argv[1], "--port")) return atoi(argv[2]);
    fprintf(stderr, "usage: %s [--port N]\n", argv[0]);
    exit(1);
}

static inline void announce(int port) {
    printf("ready %d %d\n", port, (int)getpid());
    fflush(stdout);
}

#endif
