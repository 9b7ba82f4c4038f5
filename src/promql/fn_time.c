// SPDX-License-Identifier: Apache-2.0
//
// Parts of dates, UTC, of Unix times in seconds. What does not fit 64 bits is what it is in Go on
// x86: the smallest integer, which Go's calendar counts from the other end.
#include "promql/fn_internal.h"

#include <math.h>

enum { DAY_SECONDS = 86400 };

// Days and seconds from the beginning of Go's calendar to 1970: times before that wrap around.
static const uint64_t EPOCH_DAYS = UINT64_C(106751991073400);

typedef struct Date {
    int64_t days; // since 1970-01-01
    int64_t year;
    int32_t month, day;
    int32_t seconds; // of the day
} Date;

// Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
static Date date_of_days(int64_t days)
{
    const int64_t shifted = days + 719468;
    const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const int64_t of_era = shifted - era * 146097;
    const int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t part = (5 * of_year + 2) / 153;
    Date date = {.days = days, .year = year_of_era + era * 400};
    date.day = (int32_t)(of_year - (153 * part + 2) / 5 + 1);
    date.month = (int32_t)(part < 10 ? part + 3 : part - 9);
    date.year += date.month <= 2;
    return date;
}

static Date date_of(double unix_seconds)
{
    // Half-open: 2^63 itself does not fit. NaN fits nothing.
    const bool fits = unix_seconds >= -0x1p63 && unix_seconds < 0x1p63;
    const int64_t seconds = fits ? (int64_t)unix_seconds : INT64_MIN;
    const uint64_t absolute = (uint64_t)seconds + EPOCH_DAYS * DAY_SECONDS; // wraps
    Date date = date_of_days((int64_t)(absolute / DAY_SECONDS - EPOCH_DAYS));
    date.seconds = (int32_t)(absolute % DAY_SECONDS);
    return date;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int32_t month_days(const Date *date)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[date->month - 1] + (date->month == 2 && is_leap(date->year));
}

static int64_t weekday(const Date *date) // 0: Sunday
{
    const int64_t day = (date->days + 4) % 7;
    return day < 0 ? day + 7 : day;
}

static int64_t year_day(const Date *date)
{
    static const int16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    return before[date->month - 1] + date->day + (date->month > 2 && is_leap(date->year));
}

#define DATE(name, part)                                                                           \
    FN_SAMPLE(name)                                                                                \
    {                                                                                              \
        const Date date = date_of(in.value);                                                       \
        (void)call;                                                                                \
        out->value = (double)(part);                                                               \
        return in.histogram == NULL;                                                               \
    }

DATE(day_of_month, date.day)
DATE(day_of_week, weekday(&date))
DATE(day_of_year, year_day(&date))
DATE(days_in_month, month_days(&date))
DATE(hour, date.seconds / 3600)
DATE(minute, date.seconds % 3600 / 60)
DATE(month, date.month)
DATE(year, date.year)
