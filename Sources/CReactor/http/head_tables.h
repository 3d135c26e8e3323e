/*
 * Classification by two lookups: a byte's high half selects a row of the ASCII table, given as one bit; the
 * low half selects the rows in which it counts. The bits meet only where the byte is in the class.
 *
 *   bits 0-5: rows 2-7 of the class               bit 7: rows 0 and 1, control characters    bit 6: DEL
 */
#ifndef CRE_HTTP_HEAD_TABLES_H
#define CRE_HTTP_HEAD_TABLES_H

#include <stdalign.h>
#include <stdint.h>

/* Operands of vector instructions, for one and two times 16 bytes. They are no constants of the compiler,
 * which would build them in registers for each head, and save those across calls. */
typedef struct cre__head_tables {
    alignas(32) uint8_t rows[32];
    uint8_t columns[32];      /* token characters, with the bits 6 and 7 */
    uint8_t host_columns[32]; /* characters of registered names: bits 0-5 */
    uint8_t low_half[32];     /* of a byte */
    uint8_t class_bits[32];   /* without control characters and DEL */
    uint8_t visible[32];      /* the first visible character */
    uint8_t del[32];
    uint8_t hash[32];
    uint8_t question[32];
} cre__head_tables;

extern const cre__head_tables cre__head_operands;

#endif
