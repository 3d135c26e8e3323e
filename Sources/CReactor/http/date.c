/* HTTP dates. */
#include <creactor/http_date.h>
#include <stdbool.h>
#include <string.h>

#include "chars.h"
#include "core/calendar.h"

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

enum { DAY = 86400 };

/* The inverse of cre__days_of. */
static void date_of(int64_t since_1970, int *year, int *month, int *day) {
    const int64_t shifted = since_1970 + 719468, era = shifted / 146097, of_era = shifted - era * 146097;
    const int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t from_march = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * from_march + 2) / 5 + 1);
    *month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static void two(char *out, int number) {
    out[0] = (char)('0' + number / 10);
    out[1] = (char)('0' + number % 10);
}

void cre_http_date(char out[CRE_HTTP_DATE_LENGTH], int64_t seconds) {
    const int64_t last = INT64_C(253402300799); /* the end of the year 9999 */
    if (seconds < 0) seconds = 0;
    if (seconds > last) seconds = last;
    const int64_t since_1970 = seconds / DAY;
    const int clock = (int)(seconds % DAY);
    int year, month, day;
    date_of(since_1970, &year, &month, &day);
    memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", CRE_HTTP_DATE_LENGTH);
    memcpy(out, days + (since_1970 + 4) % 7 * 3, 3);
    two(out + 5, day);
    memcpy(out + 8, months + (month - 1) * 3, 3);
    two(out + 12, year / 100);
    two(out + 14, year % 100);
    two(out + 17, clock / 3600);
    two(out + 20, clock / 60 % 60);
    two(out + 23, clock % 60);
}

/* Reads digits from `at` on, -1 for other characters; a leading space, as written by asctime, is read as 0.
 */
static int digits(const char *at, size_t count, bool space) {
    int number = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 && space && at[0] == ' ') continue;
        if (!cre__is((uint8_t)at[i], CRE__DIGIT)) return -1;
        number = number * 10 + (at[i] - '0');
    }
    return number;
}

static int month_of(const char *at) {
    for (int i = 0; i < 12; i++)
        if (memcmp(at, months + i * 3, 3) == 0) return i + 1;
    return -1;
}

static bool weekday(const char *at) {
    for (int i = 0; i < 7; i++)
        if (memcmp(at, days + i * 3, 3) == 0) return true;
    return false;
}

static int64_t combine(int year, int month, int day, const char *clock) {
    static const uint8_t lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const int hour = digits(clock, 2, false), minute = digits(clock + 3, 2, false),
              second = digits(clock + 6, 2, false);
    if (clock[2] != ':' || clock[5] != ':') return -1;
    if (year < 1970 || month < 1 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 60)
        return -1;
    const bool leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > lengths[month - 1] + leap) return -1;
    return cre__days_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
}

int64_t cre_http_date_parse(const char *text, size_t length) {
    if (length < 24 || !weekday(text)) return -1;
    /* Sun, 06 Nov 1994 08:49:37 GMT */
    if (length == CRE_HTTP_DATE_LENGTH && text[3] == ',') {
        if (text[4] != ' ' || text[7] != ' ' || text[11] != ' ' || text[16] != ' ' ||
            memcmp(text + 25, " GMT", 4) != 0)
            return -1;
        return combine(digits(text + 12, 4, false), month_of(text + 8), digits(text + 5, 2, false),
                       text + 17);
    }
    /* Sun Nov  6 08:49:37 1994 */
    if (length == 24 && text[3] == ' ') {
        if (text[7] != ' ' || text[10] != ' ' || text[19] != ' ') return -1;
        return combine(digits(text + 20, 4, false), month_of(text + 4), digits(text + 8, 2, true), text + 11);
    }
    /* Sunday, 06-Nov-94 08:49:37 GMT */
    const char *comma = memchr(text, ',', length);
    if (!comma || comma > text + 9 || length - (size_t)(comma - text) != 24) return -1;
    const char *at = comma + 2;
    if (comma[1] != ' ' || at[2] != '-' || at[6] != '-' || at[9] != ' ' || memcmp(at + 18, " GMT", 4) != 0)
        return -1;
    const int year = digits(at + 7, 2, false);
    if (year < 0) return -1;
    return combine(year < 70 ? year + 2000 : year + 1900, month_of(at + 3), digits(at, 2, false), at + 10);
}
