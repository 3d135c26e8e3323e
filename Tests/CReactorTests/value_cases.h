/*
 * Values by keys that two users share, processes or machines: what holds wherever the values are. The
 * including test defines how the users begin and end, and how one of them carries out an operation.
 */
#ifndef CRE_VALUE_CASES_H
#define CRE_VALUE_CASES_H

#include <creactor/error.h>
#include <creactor/value.h>
#include <unistd.h>

#include "test.h"
#include "text.h"

/* Two users of values, of which there are none yet. */
static void begin(void);
static void finish(void);

/* Carries out an operation for the user 0 or 1. Returns its result, with a value or sum in `value`. */
static int apply(int user, cre_value_operation operation);

/* Waits for a millisecond of the clock by which values expire. */
static void wait_a_moment(void);

static uint8_t value[CRE_VALUE_MAX]; /* of the last operation */
static size_t length;

/* ---- operations ---- */

static int set(int user, const char *key, const char *to, uint64_t lifetime) {
    return apply(user,
                 (cre_value_operation){
                     .kind = CRE_VALUE_SET, .key = text(key), .value = text(to), .lifetime_ms = lifetime });
}

static int change(int user, const char *key, cre_value_kind kind, cre_value_condition condition,
                  const char *to, const char *expected) {
    return apply(user, (cre_value_operation){ .kind = kind,
                                              .condition = condition,
                                              .key = text(key),
                                              .value = text(to),
                                              .expected = text(expected) });
}

static int drop(int user, const char *key) {
    return change(user, key, CRE_VALUE_REMOVE, CRE_VALUE_ALWAYS, "", "");
}

static int add(int user, const char *key, int64_t amount, uint64_t lifetime) {
    return apply(user,
                 (cre_value_operation){
                     .kind = CRE_VALUE_ADD, .key = text(key), .amount = amount, .lifetime_ms = lifetime });
}

static int get(int user, const char *key) {
    return apply(user, (cre_value_operation){ .kind = CRE_VALUE_GET, .key = text(key) });
}

/* The value of the last operation is this text. */
static void check(const char *expected) {
    CHECK_EQ(length, strlen(expected));
    CHECK_MEM(value, expected, length);
}

static void check_value(int user, const char *key, const char *expected) {
    CHECK_EQ(get(user, key), 1);
    check(expected);
}

static void wait_until_absent(int user, const char *key) {
    int result = 1;
    for (int i = 0; i < 60000 && (result = get(user, key)) == 1; i++)
        wait_a_moment();
    CHECK_EQ(result, 0);
}

/* ---- cases ---- */

TEST(operations) {
    begin();
    CHECK_EQ(get(0, "key"), 0);
    CHECK_EQ(set(0, "key", "one", 0), 1);
    check_value(1, "key", "one");
    CHECK_EQ(set(1, "key", "", 0), 1);
    check_value(0, "key", "");
    CHECK_EQ(change(0, "key", CRE_VALUE_SET, CRE_VALUE_IF_ABSENT, "two", ""), 0);
    CHECK_EQ(change(0, "key", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "two", "other"), 0);
    check_value(0, "key", "");
    CHECK_EQ(change(0, "key", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "two", ""), 1);
    check_value(1, "key", "two");
    CHECK_EQ(change(0, "new", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "two", ""), 0);
    CHECK_EQ(change(0, "new", CRE_VALUE_SET, CRE_VALUE_IF_ABSENT, "first", ""), 1);
    CHECK_EQ(change(1, "new", CRE_VALUE_REMOVE, CRE_VALUE_IF_EQUAL, "", "firs"), 0);
    CHECK_EQ(change(1, "new", CRE_VALUE_REMOVE, CRE_VALUE_IF_ABSENT, "", ""), 0);
    CHECK_EQ(change(1, "new", CRE_VALUE_REMOVE, CRE_VALUE_IF_EQUAL, "", "first"), 1);
    CHECK_EQ(drop(1, "new"), 0);
    CHECK_EQ(drop(0, "key"), 1);
    CHECK_EQ(get(1, "key"), 0);
    finish();
}

TEST(limits) {
    static uint8_t bytes[CRE_VALUE_MAX + 1];
    static char key[CRE_VALUE_MAX_KEY + 2];
    begin();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    memset(key, 'k', CRE_VALUE_MAX_KEY);
    cre_value_operation operation = { .kind = CRE_VALUE_SET,
                                      .key = text(key),
                                      .value = { bytes, CRE_VALUE_MAX } };
    CHECK_EQ(apply(0, operation), 1);
    CHECK_EQ(get(1, key), 1);
    CHECK_EQ(length, CRE_VALUE_MAX);
    CHECK_MEM(value, bytes, CRE_VALUE_MAX);
    operation.condition = CRE_VALUE_IF_EQUAL;
    operation.expected = operation.value;
    operation.value.length = 3;
    CHECK_EQ(apply(1, operation), 1);
    CHECK_EQ(apply(1, operation), 0);
    operation.expected.length = CRE_VALUE_MAX + 1;
    CHECK_EQ(apply(0, operation), CRE_ELIMIT);
    operation.expected.length = 3;
    operation.value.length = CRE_VALUE_MAX + 1;
    CHECK_EQ(apply(0, operation), CRE_ELIMIT);
    CHECK_EQ(get(0, key), 1);
    CHECK_EQ(length, 3);
    key[CRE_VALUE_MAX_KEY] = 'k';
    CHECK_EQ(set(0, key, "v", 0), CRE_EINVALID);
    CHECK_EQ(get(0, key), CRE_EINVALID);
    CHECK_EQ(set(0, "", "v", 0), CRE_EINVALID);
    CHECK_EQ(set(0, "k", "v", CRE_VALUE_MAX_LIFETIME + 1), CRE_EINVALID);
    CHECK_EQ(set(0, "k", "v", CRE_VALUE_MAX_LIFETIME), 1);
    CHECK_EQ(change(0, "k", CRE_VALUE_GET, CRE_VALUE_IF_ABSENT, "", ""), CRE_EINVALID);
    CHECK_EQ(change(0, "k", CRE_VALUE_ADD, CRE_VALUE_IF_EQUAL, "", ""), CRE_EINVALID);
    CHECK_EQ(change(0, "k", (cre_value_kind)(CRE_VALUE_ADD + 1), CRE_VALUE_ALWAYS, "", ""), CRE_EINVALID);
    CHECK_EQ(change(0, "k", CRE_VALUE_SET, (cre_value_condition)(CRE_VALUE_IF_EQUAL + 1), "", ""),
             CRE_EINVALID);
    check_value(1, "k", "v");
    finish();
}

TEST(numbers) {
    /* A number has one form, that in which ADD writes it. */
    static const char *const others[] = { "",
                                          "-",
                                          "+1",
                                          "01",
                                          "-0",
                                          "1 ",
                                          " 1",
                                          "1.5",
                                          "0x1",
                                          "a1",
                                          "--1",
                                          "many",
                                          "9223372036854775808",
                                          "-9223372036854775809",
                                          "123456789012345678901234" };
    begin();
    CHECK_EQ(add(0, "n", 0, 0), 1);
    check("0");
    CHECK_EQ(add(1, "n", -7, 0), 1);
    check("-7");
    CHECK_EQ(add(0, "n", 49, 0), 1);
    check("42");
    check_value(1, "n", "42");
    CHECK_EQ(add(0, "n", INT64_MAX - 42, 0), 1);
    check("9223372036854775807"); /* not rounded */
    CHECK_EQ(add(0, "n", 1, 0), CRE_EVALUE_NUMBER);
    check_value(1, "n", "9223372036854775807");
    CHECK_EQ(set(0, "n", "-9223372036854775807", 0), 1);
    CHECK_EQ(add(0, "n", -1, 0), 1);
    check("-9223372036854775808");
    CHECK_EQ(add(0, "n", -1, 0), CRE_EVALUE_NUMBER);
    CHECK_EQ(add(0, "n", 8, 0), 1);
    check("-9223372036854775800");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        CHECK_EQ(set(0, "n", others[i], 0), 1);
        CHECK_EQ(add(1, "n", 1, 0), CRE_EVALUE_NUMBER);
        check_value(0, "n", others[i]);
    }
    CHECK_EQ(add(0, "new", INT64_MIN, 0), 1);
    check("-9223372036854775808");
    finish();
}

TEST(lifetimes) {
    begin();
    CHECK_EQ(set(0, "key", "one", 30), 1);
    CHECK_EQ(set(0, "stays", "one", 30), 1);
    CHECK_EQ(set(0, "stays", "two", 0), 1);
    CHECK_EQ(add(0, "window", 1, 30), 1);
    CHECK_EQ(set(0, "n", "1", 0), 1);
    CHECK_EQ(add(0, "n", 1, 30), 1); /* it was there before */
    wait_until_absent(1, "key");
    wait_until_absent(1, "window");
    check_value(1, "stays", "two");
    check_value(1, "n", "2");
    CHECK_EQ(change(1, "key", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "two", "one"), 0);
    CHECK_EQ(change(1, "key", CRE_VALUE_SET, CRE_VALUE_IF_ABSENT, "two", ""), 1);
    CHECK_EQ(add(0, "window", 1, 0), 1);
    check("1");
    finish();
}

#endif
