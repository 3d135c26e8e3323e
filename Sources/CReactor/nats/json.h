/* What servers of NATS say in JSON. Values are slices of the text; nothing is allocated. */
#ifndef CRE_NATS_JSON_H
#define CRE_NATS_JSON_H

#include <creactor/buffer.h>
#include <stdbool.h>
#include <stdint.h>

/* Finds a member of an object by its name, which must have no escapes in the text. */
bool cre__json_member(cre_slice object, const char *name, cre_slice *value);
/* Takes the next member from an object, or from what a call before has left of it; `name` is without quotes,
 * with its escapes. */
bool cre__json_next_member(cre_slice *object, cre_slice *name, cre_slice *value);
/* Takes the next value from an array, or from what a call before has left of it. */
bool cre__json_next(cre_slice *array, cre_slice *value);
/* A whole number that is not negative. */
bool cre__json_number(cre_slice value, uint64_t *number);
bool cre__json_is_true(cre_slice value);
/* What is between the quotes, with its escapes. */
bool cre__json_string(cre_slice value, cre_slice *text);
/* Whether a value is a string that means this text of ASCII. */
bool cre__json_equals(cre_slice value, cre_slice text);
/* Reads a time, such as "2026-11-30T10:59:13.5Z", as milliseconds since 1970. False: it is in another form.
 */
bool cre__json_time(cre_slice text, uint64_t *milliseconds);
/* Whether an object has a member with this number, or with a string that means this text of ASCII. */
bool cre__json_has_number(cre_slice object, const char *name, uint64_t expected);
bool cre__json_has_text(cre_slice object, const char *name, const char *expected);
/* Writes a string with its quotes to `out`, which has 6 bytes for each one of the text and 2 more. Returns
 * the end. */
uint8_t *cre__json_put(uint8_t *out, cre_slice text);

#endif
