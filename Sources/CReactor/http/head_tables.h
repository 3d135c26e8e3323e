/*
 * Classification by two lookups: a byte's high half selects a row of the ASCII table, given as one bit; the
 * low half selects the rows in which it counts. The bits meet only where the byte is in the class.
 *
 *   bits 0-5: rows 2-7 of the token characters    bit 7: rows 0 and 1, control characters    bit 6: DEL
 */
#ifndef CRE_HTTP_HEAD_TABLES_H
#define CRE_HTTP_HEAD_TABLES_H

#include <stdint.h>

static const uint8_t cre__row_bits[16] = { 0x80, 0x80, 1, 2, 4, 8, 16, 32 | 0x40, 0, 0, 0, 0, 0, 0, 0, 0 };

static const uint8_t cre__column_bits[16] = { 0xba, 0xbf, 0xbe, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf,
                                              0xbe, 0xbe, 0xbd, 0x95, 0xb4, 0x95, 0xbd, 0xdc };

#endif
