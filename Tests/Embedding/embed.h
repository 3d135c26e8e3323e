/*
 * What an outside program does with the library, written once for all the ways to reach it, in the common
 * subset of C and C++. Each function returns 0 or the number of the step that failed.
 */
#ifndef EMBED_H
#define EMBED_H

#include <creactor/creactor.h>
#include <stdio.h>
#include <string.h>

static inline int embed_version(void) {
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", CRE_VERSION_MAJOR, CRE_VERSION_MINOR, CRE_VERSION_PATCH);
    return strcmp(cre_version(), expected) == 0 ? 0 : 1;
}

static inline int embed_errors(void) {
    if (strcmp(cre_error_name(CRE_ENOMEM), "CRE_ENOMEM") != 0) return 1;
    return *cre_error_message(CRE_ENOMEM) ? 0 : 2;
}

/* Runs all of the above; the result is the program's exit code. */
static inline int embed_all(const char *consumer) {
    const struct {
        const char *name;
        int (*run)(void);
    } steps[] = {
        { "version", embed_version },
        { "errors", embed_errors },
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int failed = steps[i].run();
        if (failed) {
            fprintf(stderr, "%s: %s failed at step %d\n", consumer, steps[i].name, failed);
            return 1;
        }
    }
    printf("%s: creactor %s works\n", consumer, cre_version());
    return 0;
}

#endif
