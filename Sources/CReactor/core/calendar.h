/* Dates of the Gregorian calendar. */
#ifndef CRE_CORE_CALENDAR_H
#define CRE_CORE_CALENDAR_H

#include <stdint.h>

/* The days from 1970 to a date. Years begin in March, so that the leap day is the last day of a year; 400
 * years have 146097 days, and there are 719468 days from March of year 0 to 1970. */
static inline int64_t cre__days_of(int64_t year, int month, int day) {
    year -= month <= 2;
    const int64_t era = year / 400, of_era = year - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

#endif
