/* Members of topics at a real server of Redis. Skipped where redis-server is not installed. */
#include "presence_cases.h"
#include "redis_process.h"

static void server_start(void) {
    redis_start(false);
}

static void server_kill(void) {
    redis_kill();
}

int main(int argc, char **argv) {
    real = (real_server){ .connect = redis_connect, .config = { .sweeps = 1 } };
    return redis_test_main(argc, argv);
}
