#include "ws/ws_utf8.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

typedef uint8_t v16 __attribute__((vector_size(16)));

#define VECTOR               v16
#define TARGET               __attribute__((target("sse4.1")))
#define NAME                 cre__utf8_valid_sse41
#define LOAD(data)           ((v16)_mm_loadu_si128((const __m128i *)(const void *)(data)))
#define LOOKUP(table, index) ((v16)_mm_shuffle_epi8((__m128i)(table), (__m128i)(index)))
#define BEFORE(last, v, n)   ((v16)_mm_alignr_epi8((__m128i)(v), (__m128i)(last), 16 - (n)))
#define SUBTRACT(v, n)       ((v16)_mm_subs_epu8((__m128i)(v), _mm_set1_epi8(n)))
#define HAS_HIGH(v)          (_mm_movemask_epi8((__m128i)(v)) != 0)
#define IS_ZERO(v)           (_mm_testz_si128((__m128i)(v), (__m128i)(v)) != 0)
#define REPEAT(...)          ((v16){ __VA_ARGS__ })
#include "ws/ws_utf8_kernel.h"
#else
typedef int cre__utf8_sse41_is_empty;
#endif
