/*
 * A table in shared memory: rows of typed columns, found by a key of 1 to 63 bytes.
 *
 * It is made before a fork and has a fixed size. Whoever dies while changing a row leaves it as it was before
 * or as it was to be, never between. Readers take no lock. Any thread and process may call everything here
 * but cre_shared_table_destroy at any time.
 */
#ifndef CREACTOR_SHARED_TABLE_H
#define CREACTOR_SHARED_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

#define CRE_SHARED_KEY_MAX     63
#define CRE_SHARED_COLUMNS_MAX 64
#define CRE_SHARED_ROW_MAX     65536 /* bytes of all columns together */
#define CRE_SHARED_ROWS_MAX    (1u << 26)

typedef struct cre_shared_table cre_shared_table;

typedef enum cre_column_type {
    CRE_COLUMN_INT = 1, /* int64_t */
    CRE_COLUMN_DOUBLE = 2,
    CRE_COLUMN_BYTES = 3, /* up to `size` bytes */
} cre_column_type;

typedef struct cre_column {
    const char *name; /* 1 to 63 bytes, not twice in one table; need not outlive the call */
    cre_column_type type;
    uint32_t size; /* of CRE_COLUMN_BYTES, 1 and more */
} cre_column;

/**
 * Makes an empty table of exactly `rows` rows. The caller owns it, and so does each process forked later. Its
 * memory is all there is to it: no call takes more later, and pages that are not used cost nothing.
 * Returns 0; CRE_EINVALID for columns or sizes that cannot be; another negative error.
 */
CRE_API int cre_shared_table_create(uint32_t rows, const cre_column *columns, size_t count,
                                    cre_shared_table **out);

/** Maps again what has this descriptor, in a program that was executed anew. The descriptor then belongs to
 * the result. CRE_ESHARED_MISMATCH, and the descriptor is the caller's: rows or columns are other ones. */
CRE_API int cre_shared_table_attach(int descriptor, uint32_t rows, const cre_column *columns, size_t count,
                                    cre_shared_table **out);

/** Its descriptor, which is closed on exec unless the caller changes that; it stays the table's. */
CRE_API int cre_shared_table_descriptor(const cre_shared_table *table);

/** Unmaps it in this process; in others it goes on. NULL does nothing. */
CRE_API void cre_shared_table_destroy(cre_shared_table *table);

/** The index of a column by its name, or CRE_ESHARED_COLUMN. */
CRE_API int cre_shared_table_column(const cre_shared_table *table, const char *name);

typedef struct cre_shared_table_stats {
    uint64_t inserted, updated, deleted; /* rows, since it was made */
    uint64_t repaired;                   /* locks that were taken over from the dead */
    uint64_t memory;                     /* bytes of address space */
    uint32_t rows, capacity;
} cre_shared_table_stats;

/** Counters and sizes, each exact, but not all of one instant. */
CRE_API void cre_shared_table_get_stats(const cre_shared_table *table, cre_shared_table_stats *stats);

/** How many rows there are. One that somebody died inserting or deleting counts until its part of the table
 * is changed the next time. */
CRE_API uint32_t cre_shared_table_count(const cre_shared_table *table);

/* ---- a row is an array of words, a copy outside of the table ---- */

/** How many words a row has. */
CRE_API size_t cre_shared_table_row_words(const cre_shared_table *table);

/** The value of a column. CRE_ESHARED_COLUMN: there is none of this type. */
CRE_API int cre_shared_row_int(const cre_shared_table *table, const uint64_t *row, uint32_t column,
                               int64_t *value);
CRE_API int cre_shared_row_double(const cre_shared_table *table, const uint64_t *row, uint32_t column,
                                  double *value);
/** As above; the bytes stand in the row. */
CRE_API int cre_shared_row_bytes(const cre_shared_table *table, const uint64_t *row, uint32_t column,
                                 const uint8_t **bytes, size_t *length);

/** Changes a column. CRE_ESHARED_COLUMN: there is none of this type; CRE_ESHARED_TOO_LONG. The row is as it
 * was then. */
CRE_API int cre_shared_row_set_int(const cre_shared_table *table, uint64_t *row, uint32_t column,
                                   int64_t value);
CRE_API int cre_shared_row_set_double(const cre_shared_table *table, uint64_t *row, uint32_t column,
                                      double value);
CRE_API int cre_shared_row_set_bytes(const cre_shared_table *table, uint64_t *row, uint32_t column,
                                     const void *bytes, size_t length);

/* ---- the table's rows ---- */

/** Copies a row. It takes no lock, and sees the row whole. Returns 0; CRE_ESHARED_NO_ROW, also for keys that
 * cannot be. `row` may be NULL to ask whether it is there. */
CRE_API int cre_shared_table_get(const cre_shared_table *table, const void *key, size_t length,
                                 uint64_t *row);

typedef enum cre_shared_verdict {
    CRE_SHARED_KEEP = 0,   /* change nothing, insert nothing */
    CRE_SHARED_STORE = 1,  /* store the row as it is now */
    CRE_SHARED_DELETE = 2, /* delete it */
} cre_shared_verdict;

/** Changes a copy of the row while nobody else can change it; `exists` tells whether it was there, otherwise
 * all is zero. Returns a verdict, or a negative error, which changes nothing. It must be quick, must return,
 * and may read tables but not change any. */
typedef int (*cre_shared_edit_cb)(void *context, uint64_t *row, bool exists);

/**
 * Changes, inserts or deletes a row by a callback, which is called before this returns; what is decided there
 * is atomic. Returns 0; the callback's error; CRE_ESHARED_KEY; CRE_ESHARED_NO_ROW, unless `insert`;
 * CRE_ESHARED_FULL; CRE_ESHARED_NESTED, from within such a callback.
 */
CRE_API int cre_shared_table_edit(cre_shared_table *table, const void *key, size_t length, bool insert,
                                  cre_shared_edit_cb edit, void *context);

/** Adds to a number, and stores the sum in `*sum` (NULL: not). A row that is missing is inserted, with zeros.
 * Overflow of integers wraps. Errors like cre_shared_table_edit, and CRE_ESHARED_COLUMN. */
CRE_API int cre_shared_table_add(cre_shared_table *table, const void *key, size_t length, uint32_t column,
                                 int64_t value, int64_t *sum);
CRE_API int cre_shared_table_add_double(cre_shared_table *table, const void *key, size_t length,
                                        uint32_t column, double value, double *sum);

/** Deletes a row, and copies what it was to `row` (NULL: not). CRE_ESHARED_NO_ROW, CRE_ESHARED_NESTED. */
CRE_API int cre_shared_table_delete(cre_shared_table *table, const void *key, size_t length, uint64_t *row);

/** Where a walk through a table is; all zero at its beginning. */
typedef struct cre_shared_cursor {
    uint64_t born;
    uint32_t next;
} cre_shared_cursor;

/**
 * The next row: copies its key, its length and the row (NULL: not). Returns 1, or 0 at the end. Each row that
 * is there during the whole walk is seen once, each whole; one that is inserted meanwhile is not seen; one
 * that is deleted meanwhile may be. No key is seen twice. Others may change the table, and so may the caller.
 */
CRE_API int cre_shared_table_next(const cre_shared_table *table, cre_shared_cursor *cursor,
                                  uint8_t key[CRE_SHARED_KEY_MAX], size_t *length, uint64_t *row);

CRE_END_DECLS

#endif
