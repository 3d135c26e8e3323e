/* Memory that outlives a fork and an exec: a sealed memfd, mapped, with a head that says what it is. */
#ifndef CRE_SHARED_SEGMENT_H
#define CRE_SHARED_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

typedef enum cre__segment_kind {
    CRE__SEGMENT_ATOMIC = 1,
    CRE__SEGMENT_LOCK = 2,
    CRE__SEGMENT_TABLE = 3,
} cre__segment_kind;

/* The first cache line of each segment. */
typedef struct cre__segment_head {
    _Alignas(64) uint32_t magic;
    uint16_t version, kind;
    uint32_t mutex; /* bytes of the C library's: another library's segments cannot be used */
    uint32_t reserved;
    uint64_t schema; /* what tells two segments of one kind apart */
    uint64_t size;
} cre__segment_head;

typedef struct cre__segment {
    void *memory;
    size_t size;
    int descriptor;
} cre__segment;

/* Makes a segment of `size` zeroed bytes; its head counts among them. Returns 0 or an error. */
int cre__segment_create(cre__segment *segment, cre__segment_kind kind, uint64_t schema, size_t size);

/* Maps one that must be like this, and takes the descriptor over. On an error it is the caller's. */
int cre__segment_attach(cre__segment *segment, int descriptor, cre__segment_kind kind, uint64_t schema,
                        size_t size);

void cre__segment_close(cre__segment *segment);

#endif
