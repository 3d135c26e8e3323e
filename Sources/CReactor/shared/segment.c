#include "shared/segment.h"

#include <creactor/error.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC   0x43524553u /* "CRES" */
#define VERSION 1           /* of the head and everything behind it */

/* Access to the missing part of a truncated file would kill a process. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int map(cre__segment *segment, int descriptor, size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (memory == MAP_FAILED) return -errno;
    *segment = (cre__segment){ .memory = memory, .size = size, .descriptor = descriptor };
    return 0;
}

int cre__segment_create(cre__segment *segment, cre__segment_kind kind, uint64_t schema, size_t size) {
    int descriptor = memfd_create("creactor-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return -errno;
    int result = 0;
    if (ftruncate(descriptor, (off_t)size) || fcntl(descriptor, F_ADD_SEALS, SEALS)) result = -errno;
    if (!result) result = map(segment, descriptor, size);
    if (result) {
        close(descriptor);
        return result;
    }
    *(cre__segment_head *)segment->memory = (cre__segment_head){ .magic = MAGIC,
                                                                 .version = VERSION,
                                                                 .kind = (uint16_t)kind,
                                                                 .mutex = sizeof(pthread_mutex_t),
                                                                 .schema = schema,
                                                                 .size = size };
    return 0;
}

int cre__segment_attach(cre__segment *segment, int descriptor, cre__segment_kind kind, uint64_t schema,
                        size_t size) {
    struct stat info;
    if (fstat(descriptor, &info)) return -errno;
    if (!S_ISREG(info.st_mode) || (size_t)info.st_size != size ||
        fcntl(descriptor, F_GET_SEALS) != (int)SEALS)
        return CRE_ESHARED_MISMATCH;
    int result = map(segment, descriptor, size);
    if (result) return result;
    const cre__segment_head *head = segment->memory;
    if (head->magic == MAGIC && head->version == VERSION && head->kind == kind &&
        head->mutex == sizeof(pthread_mutex_t) && head->schema == schema && head->size == size)
        return 0;
    munmap(segment->memory, size);
    return CRE_ESHARED_MISMATCH;
}

void cre__segment_close(cre__segment *segment) {
    munmap(segment->memory, segment->size);
    close(segment->descriptor);
}
