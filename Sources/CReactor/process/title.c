/* The process title: the system shows the memory that had the arguments and the environment at the start.
 */
#include <creactor/internal/process.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *title_start;
static size_t title_size;

/* Where the kernel put the arguments and the environment: fields 48 to 51 of /proc/self/stat. */
static int find_area(uintptr_t *start, uintptr_t *end) {
    char text[2048];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file) return -1;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    char *at = strrchr(text, ')'); /* the name may hold anything; the fields behind it are numbers */
    if (!at) return -1;
    unsigned long long values[64];
    int count = 2;
    for (char *token = strtok(at + 1, " "); token && count < 64; token = strtok(NULL, " "))
        values[count++] = strtoull(token, NULL, 10);
    if (count < 51) return -1;
    *start = (uintptr_t)values[47];
    *end = (uintptr_t)values[50];
    return *start && *end > *start ? 0 : -1;
}

static void make_room(void) {
    uintptr_t start, end;
    if (find_area(&start, &end)) return;
    extern char **environ;
    size_t count = 0;
    while (environ[count])
        count++;
    char **copy = malloc((count + 1) * sizeof *copy);
    if (!copy) return;
    for (size_t i = 0; i < count; i++) {
        copy[i] = strdup(environ[i]);
        if (!copy[i]) return; /* the old environment stays; without room there is no title */
    }
    copy[count] = NULL;
    environ = copy;
    title_start = (char *)start;
    title_size = end - start;
}

void cre_process_set_title(const char *title) {
    if (!title_start) make_room();
    if (!title) return;
    prctl(PR_SET_NAME, title);
    if (!title_start || title_size < 2) return;
    size_t length = strlen(title);
    if (length > title_size - 2) length = title_size - 2;
    memset(title_start, 0, title_size);
    memcpy(title_start, title, length);
}
