#include "ws/ws_utf8.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

typedef uint8_t v32 __attribute__((vector_size(32)));

/* The byte shift of AVX2 stays within each half, so the preceding half is aligned first. */
#define VECTOR               v32
#define TARGET               __attribute__((target("avx2")))
#define NAME                 cre__utf8_valid_avx2
#define LOAD(data)           ((v32)_mm256_loadu_si256((const __m256i *)(const void *)(data)))
#define LOOKUP(table, index) ((v32)_mm256_shuffle_epi8((__m256i)(table), (__m256i)(index)))
#define BEFORE(last, v, n)                                                                                 \
    ((v32)_mm256_alignr_epi8((__m256i)(v), _mm256_permute2x128_si256((__m256i)(last), (__m256i)(v), 0x21), \
                             16 - (n)))
#define SUBTRACT(v, n) ((v32)_mm256_subs_epu8((__m256i)(v), _mm256_set1_epi8(n)))
#define HAS_HIGH(v)    (_mm256_movemask_epi8((__m256i)(v)) != 0)
#define IS_ZERO(v)     (_mm256_testz_si256((__m256i)(v), (__m256i)(v)) != 0)
#define REPEAT(...)    ((v32){ __VA_ARGS__, __VA_ARGS__ })
#include "ws/ws_utf8_kernel.h"
#else
typedef int cre__utf8_avx2_is_empty;
#endif
