/* Servers of NATS that a test starts and kills. Each keeps its port, which it has chosen, and its data. */
#ifndef CRE_NATS_PROCESS_H
#define CRE_NATS_PROCESS_H

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test.h"

enum { NATS_SERVERS = 3 };

typedef struct nats_process {
    pid_t pid;
    uint16_t port, cluster_port; /* 0: none yet */
} nats_process;

static nats_process nats_processes[NATS_SERVERS];
static char nats_folder[] = "/tmp/cre-nats-XXXXXX";

/* The port that the server reports with this scheme, by a file of JSON with URLs; 0: not yet. */
static inline uint16_t nats_read_port(const nats_process *server, const char *scheme) {
    char path[64], text[1024], start[64];
    snprintf(path, sizeof path, "%s/nats-server_%d.ports", nats_folder, server->pid);
    FILE *file = fopen(path, "r");
    const size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[length] = 0;
    snprintf(start, sizeof start, "\"%s://127.0.0.1:", scheme);
    const char *found = strstr(text, start);
    return found ? (uint16_t)atoi(found + strlen(start)) : 0;
}

/* Starts a server with these settings besides those of addresses and data, and waits until it listens. */
static inline void nats_start(int index, const char *settings) {
    nats_process *server = &nats_processes[index];
    char path[64], own_port[16];
    snprintf(path, sizeof path, "%s/%d.conf", nats_folder, index);
    FILE *file = fopen(path, "w");
    REQUIRE(file);
    fprintf(file,
            "listen: 127.0.0.1:%d\nserver_name: s%d\nports_file_dir: \"%s\"\nlog_file: \"%s/%d.log\"\n%s\n",
            server->port ? server->port : -1, index, nats_folder, nats_folder, index, settings);
    fclose(file);
    snprintf(own_port, sizeof own_port, "%d", server->port);
    server->pid = fork();
    REQUIRE(server->pid >= 0);
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const char *const names[] = { getenv("NATS_SERVER") ? getenv("NATS_SERVER") : "nats-server",
                                      "/usr/sbin/nats-server" }; /* which a user's path may lack */
        for (int i = 0; i < 2; i++)
            execlp(names[i], "nats-server", "-c", path, (char *)NULL);
        _exit(127);
    }
    const char *const scheme = strstr(settings, "tls ") ? "tls" : "nats";
    uint16_t port = 0;
    for (int waits = 0; waits < 6000 && !(port = nats_read_port(server, scheme)); waits++)
        usleep(10000);
    if (!port) TEST_FAIL("the server of NATS does not start; its log is %s/%d.log", nats_folder, index);
    REQUIRE(port);
    server->port = port;
}

static inline void nats_kill(int index) {
    kill(nats_processes[index].pid, SIGKILL);
    REQUIRE(waitpid(nats_processes[index].pid, NULL, 0) == nats_processes[index].pid);
    nats_processes[index].pid = 0;
}

/* The setting for a store of streams, empty (`fresh`) or with what it had. */
static inline const char *nats_store(int index, bool fresh) {
    static char setting[128];
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s/store%d", nats_folder, index);
    if (fresh) CHECK_EQ(system(command), 0);
    snprintf(setting, sizeof setting, "jetstream { store_dir: \"%s/store%d\" }", nats_folder, index);
    return setting;
}

static inline bool nats_is_installed(void) {
    return getenv("NATS_SERVER") || !access("/usr/bin/nats-server", X_OK) ||
           !access("/usr/local/bin/nats-server", X_OK) || !access("/usr/sbin/nats-server", X_OK);
}

static inline void nats_make_folder(void) {
    REQUIRE(mkdtemp(nats_folder));
}

/* Returns 0, or 1 if it cannot be removed. */
static inline int nats_remove_folder(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", nats_folder);
    return system(command) != 0;
}

/* The main function of a test that needs the server. Without one it is skipped. */
static inline int nats_test_main(int argc, char **argv) {
    if (!nats_is_installed()) {
        printf("skipped: nats-server is not installed\n");
        return 77; /* CTest's SKIP_RETURN_CODE */
    }
    nats_make_folder();
    const int result = test_main(argc, argv);
    return result | nats_remove_folder();
}

#endif
