#include <creactor/error.h>
#include <creactor/value.h>

int cre_value_check(const cre_value_operation *operation) {
    const bool has_condition = operation->kind == CRE_VALUE_SET || operation->kind == CRE_VALUE_REMOVE;
    if (operation->kind > CRE_VALUE_ADD || operation->condition > CRE_VALUE_IF_EQUAL) return CRE_EINVALID;
    if (operation->condition && !has_condition) return CRE_EINVALID;
    if (!operation->key.length || operation->key.length > CRE_VALUE_MAX_KEY) return CRE_EINVALID;
    if (operation->lifetime_ms > CRE_VALUE_MAX_LIFETIME) return CRE_EINVALID;
    const bool is_long =
        operation->value.length > CRE_VALUE_MAX || operation->expected.length > CRE_VALUE_MAX;
    return is_long ? CRE_ELIMIT : 0;
}
