/* Operations on values by keys, as cre_broker_apply and cre_shared_values_apply carry them out. */
#ifndef CREACTOR_VALUE_H
#define CREACTOR_VALUE_H

#include <stdint.h>

#include "buffer.h"
#include "export.h"

/** Limits of values. */
enum {
    CRE_VALUE_MAX_KEY = 255, /* bytes of a key, which has at least 1 */
    CRE_VALUE_MAX = 65536    /* bytes of a value */
};

/** The longest lifetime of a value, in milliseconds: ten years. */
#define CRE_VALUE_MAX_LIFETIME 315360000000ull

/** The kinds of operations. */
typedef enum cre_value_kind {
    CRE_VALUE_GET = 0,    /* returns the value */
    CRE_VALUE_SET = 1,    /* sets the value and its lifetime */
    CRE_VALUE_REMOVE = 2, /* removes the value */
    CRE_VALUE_ADD = 3     /* adds to an integer in decimal, 0 if there is none, and returns the sum */
} cre_value_kind;

/** The conditions of SET and REMOVE. */
typedef enum cre_value_condition {
    CRE_VALUE_ALWAYS = 0,    /* there is none */
    CRE_VALUE_IF_ABSENT = 1, /* the key has no value */
    CRE_VALUE_IF_EQUAL = 2   /* the key has the value `expected` */
} cre_value_condition;

/** An operation, which is one atomic step. */
typedef struct cre_value_operation {
    uint32_t kind;        /**< cre_value_kind */
    uint32_t condition;   /**< cre_value_condition; ALWAYS for GET and ADD */
    cre_slice key;        /**< of the value */
    cre_slice value;      /**< of SET */
    cre_slice expected;   /**< of IF_EQUAL */
    int64_t amount;       /**< of ADD */
    uint64_t lifetime_ms; /**< of a value that SET sets or ADD creates; 0: no expiry */
} cre_value_operation;

CRE_BEGIN_DECLS

/** Returns 0 for an operation within the limits, CRE_ELIMIT for a value that is too long, CRE_EINVALID for a
 * key of another length, an unknown kind or condition, or a longer lifetime. */
CRE_NODISCARD CRE_API int cre_value_check(const cre_value_operation *operation);

CRE_END_DECLS

#endif
