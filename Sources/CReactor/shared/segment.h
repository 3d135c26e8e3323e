/* Memory that survives a fork and an exec: a mapped, sealed memfd with a head that identifies it. */
#ifndef CRE_SHARED_SEGMENT_H
#define CRE_SHARED_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

typedef enum cre__segment_kind {
    CRE__SEGMENT_ATOMIC = 1,
    CRE__SEGMENT_LOCK = 2,
    CRE__SEGMENT_TABLE = 3,
    CRE__SEGMENT_RATE = 4,
    CRE__SEGMENT_VALUES = 5,
} cre__segment_kind;

/* The first cache line of each segment. */
typedef struct cre__segment_head {
    _Alignas(64) uint32_t magic;
    uint16_t version, kind;
    uint32_t mutex; /* the size of the C library's mutex: segments of another library cannot be used */
    uint32_t reserved;
    uint64_t schema; /* distinguishes segments of one kind */
    uint64_t size;
} cre__segment_head;

typedef struct cre__segment {
    void *memory;
    size_t size;
    int descriptor;
} cre__segment;

/* Creates a segment of `size` zeroed bytes, including its head. Returns 0 or an error. */
int cre__segment_create(cre__segment *segment, cre__segment_kind kind, uint64_t schema, size_t size);

/* Maps an existing segment, which must have this kind, schema and size, and then owns the descriptor. After
 * an error the caller keeps it. */
int cre__segment_attach(cre__segment *segment, int descriptor, cre__segment_kind kind, uint64_t schema,
                        size_t size);

void cre__segment_close(cre__segment *segment);

#endif
