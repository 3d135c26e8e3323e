#include "ws/ws_utf8.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#define VECTOR uint8x16_t
#define TARGET
#define NAME                 cre__utf8_valid_neon
#define LOAD(data)           vld1q_u8(data)
#define LOOKUP(table, index) vqtbl1q_u8(table, index)
#define BEFORE(last, v, n)   vextq_u8(last, v, 16 - (n))
#define SUBTRACT(v, n)       vqsubq_u8(v, vdupq_n_u8(n))
#define HAS_HIGH(v)          (vmaxvq_u8(v) >= 0x80)
#define IS_ZERO(v)           (vmaxvq_u8(v) == 0)
#define REPEAT(...)          ((uint8x16_t){ __VA_ARGS__ })
#include "ws/ws_utf8_kernel.h"
#else
typedef int cre__utf8_neon_is_empty;
#endif
