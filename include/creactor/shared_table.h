/*
 * A table in shared memory: rows of typed columns, found by a key of 1 to 63 bytes.
 *
 * A table has a fixed size and is created before the processes that share it are forked. A process that dies
 * while it changes a row leaves the old or the new row, never a mixture. Readers take no lock. Any thread of
 * any process may call all functions at any time, except cre_shared_table_destroy while another thread uses
 * the table.
 */
#ifndef CREACTOR_SHARED_TABLE_H
#define CREACTOR_SHARED_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

#define CRE_SHARED_KEY_MAX     63         /* bytes of a key */
#define CRE_SHARED_COLUMNS_MAX 64         /* columns of a table */
#define CRE_SHARED_ROW_MAX     65536      /* bytes of all columns together */
#define CRE_SHARED_ROWS_MAX    (1u << 26) /* rows of a table */

typedef struct cre_shared_table cre_shared_table;

/** The types of columns. */
typedef enum cre_column_type {
    CRE_COLUMN_INT = 1,    /* int64_t */
    CRE_COLUMN_DOUBLE = 2, /* a double */
    CRE_COLUMN_BYTES = 3,  /* up to `size` bytes */
} cre_column_type;

/** A column of a table. */
typedef struct cre_column {
    const char *name;     /* 1 to 63 bytes, unique in the table; borrowed for the call */
    cre_column_type type; /* the type of its values */
    uint32_t size;        /* of CRE_COLUMN_BYTES, at least 1 */
} cre_column;

/**
 * Creates an empty table with room for `rows` rows. The caller owns it, and so does each process forked
 * later. All memory is reserved at once; pages that are not used cost nothing. Returns 0 and *out, or
 * CRE_EINVALID for invalid columns or sizes, CRE_ENOMEM or a system error.
 */
CRE_NODISCARD CRE_API int cre_shared_table_create(uint32_t rows, const cre_column *columns, size_t count,
                                                  cre_shared_table **out);

/** Maps the table of a descriptor, in a program that was executed by cre_process_execute. Returns 0 and *out,
 * which then owns the descriptor; CRE_ESHARED_MISMATCH when it is no table with these rows and columns,
 * CRE_ENOMEM or a system error, and the caller keeps the descriptor. */
CRE_NODISCARD CRE_API int cre_shared_table_attach(int descriptor, uint32_t rows, const cre_column *columns,
                                                  size_t count, cre_shared_table **out);

/** The descriptor of the table, which owns it. It is closed on exec unless the caller changes that. */
CRE_API int cre_shared_table_descriptor(const cre_shared_table *table);

/** Unmaps the table in this process; other processes keep it. NULL is ignored. */
CRE_API void cre_shared_table_destroy(cre_shared_table *table);

/** Finds a column by its name. Returns its index, or CRE_ESHARED_COLUMN. */
CRE_NODISCARD CRE_API int cre_shared_table_column(const cre_shared_table *table, const char *name);

/** What cre_shared_table_get_stats reports. */
typedef struct cre_shared_table_stats {
    uint64_t inserted, updated, deleted; /* rows, since the table was created */
    uint64_t repaired;                   /* locks taken over from dead owners */
    uint64_t memory;                     /* bytes of address space */
    uint32_t rows, capacity;             /* rows now, and the most that fit */
} cre_shared_table_stats;

/** Copies the first `size` bytes, sizeof(cre_shared_table_stats), of the counters and sizes; those that this
 * version does not know are 0. Each is exact, but they are not read at one instant. */
CRE_API void cre_shared_table_get_stats(const cre_shared_table *table, cre_shared_table_stats *stats,
                                        size_t size);

/** The number of rows. A row whose insertion or deletion was interrupted by a death counts until the next
 * change of its part of the table. */
CRE_API uint32_t cre_shared_table_count(const cre_shared_table *table);

/* ---- rows: copies outside of the table, as arrays of words ---- */

/** The number of words of a row. */
CRE_API size_t cre_shared_table_row_words(const cre_shared_table *table);

/** Reads an integer column of a row. Returns 0, or CRE_ESHARED_COLUMN when there is no such column of this
 * type. */
CRE_NODISCARD CRE_API int cre_shared_row_int(const cre_shared_table *table, const uint64_t *row,
                                             uint32_t column, int64_t *value);

/** Reads a floating-point column of a row, with the results of cre_shared_row_int. */
CRE_NODISCARD CRE_API int cre_shared_row_double(const cre_shared_table *table, const uint64_t *row,
                                                uint32_t column, double *value);

/** Reads a column of bytes, with the results of cre_shared_row_int; *bytes points into the row. */
CRE_NODISCARD CRE_API int cre_shared_row_bytes(const cre_shared_table *table, const uint64_t *row,
                                               uint32_t column, const uint8_t **bytes, size_t *length);

/** Sets an integer column of a row. Returns 0, or CRE_ESHARED_COLUMN when there is no such column of this
 * type, and changes nothing. */
CRE_NODISCARD CRE_API int cre_shared_row_set_int(const cre_shared_table *table, uint64_t *row,
                                                 uint32_t column, int64_t value);

/** Sets a floating-point column, with the results of cre_shared_row_set_int. */
CRE_NODISCARD CRE_API int cre_shared_row_set_double(const cre_shared_table *table, uint64_t *row,
                                                    uint32_t column, double value);

/** Sets a column of bytes, with the results of cre_shared_row_set_int; CRE_ESHARED_TOO_LONG when they exceed
 * the size of the column. */
CRE_NODISCARD CRE_API int cre_shared_row_set_bytes(const cre_shared_table *table, uint64_t *row,
                                                   uint32_t column, const void *bytes, size_t length);

/* ---- the rows of the table ---- */

/** Copies a row, without a lock and never half changed. `row` may be NULL to check only whether it exists.
 * Returns 0, or CRE_ESHARED_NO_ROW, also for invalid keys. */
CRE_NODISCARD CRE_API int cre_shared_table_get(const cre_shared_table *table, const void *key, size_t length,
                                               uint64_t *row);

/** What a function that edits a row returns. */
typedef enum cre_shared_verdict {
    CRE_SHARED_KEEP = 0,   /* change nothing, insert nothing */
    CRE_SHARED_STORE = 1,  /* store the changed row */
    CRE_SHARED_DELETE = 2, /* delete the row */
} cre_shared_verdict;

/** Changes a copy of a row while the row is locked; when `exists` is false, the row is new and all zero.
 * Returns a cre_shared_verdict, or a negative error, which changes nothing. The callback must be quick, must
 * return, and may read tables but not change any. */
typedef int (*cre_shared_edit_cb)(void *context, uint64_t *row, bool exists);

/**
 * Changes, inserts or deletes a row atomically by a callback, which is called before this returns. Returns 0,
 * the error of the callback, CRE_ESHARED_KEY for an invalid key, CRE_ESHARED_NO_ROW for a missing row without
 * `insert`, CRE_ESHARED_FULL, or CRE_ESHARED_NESTED inside such a callback.
 */
CRE_NODISCARD CRE_API int cre_shared_table_edit(cre_shared_table *table, const void *key, size_t length,
                                                bool insert, cre_shared_edit_cb edit, void *context);

/** Adds to an integer column and sets *sum to the new value; `sum` may be NULL. A missing row is inserted
 * with zeros. Overflow wraps. Returns 0, CRE_ESHARED_COLUMN, or an error of cre_shared_table_edit. */
CRE_NODISCARD CRE_API int cre_shared_table_add(cre_shared_table *table, const void *key, size_t length,
                                               uint32_t column, int64_t value, int64_t *sum);

/** Adds to a floating-point column, otherwise like cre_shared_table_add. */
CRE_NODISCARD CRE_API int cre_shared_table_add_double(cre_shared_table *table, const void *key, size_t length,
                                                      uint32_t column, double value, double *sum);

/** Deletes a row and copies it to `row`, which may be NULL. Returns 0, CRE_ESHARED_NO_ROW or
 * CRE_ESHARED_NESTED. */
CRE_NODISCARD CRE_API int cre_shared_table_delete(cre_shared_table *table, const void *key, size_t length,
                                                  uint64_t *row);

/** The position of an iteration; all zero at its beginning. */
typedef struct cre_shared_cursor {
    uint64_t born; /* private */
    uint32_t next; /* private */
} cre_shared_cursor;

/**
 * Copies the next key, its length and the row; `row` may be NULL. Returns 1, or 0 at the end. Each row that
 * exists during the whole iteration is returned once and never half changed; rows inserted meanwhile are
 * skipped, rows deleted meanwhile may be returned, and no key is returned twice. The table may be changed
 * meanwhile, also by the caller.
 */
CRE_NODISCARD CRE_API int cre_shared_table_next(const cre_shared_table *table, cre_shared_cursor *cursor,
                                                uint8_t key[CRE_SHARED_KEY_MAX], size_t *length,
                                                uint64_t *row);

CRE_END_DECLS

#endif
