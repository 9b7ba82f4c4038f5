// SPDX-License-Identifier: Apache-2.0
#include "base/civil.h"

enum { DAYS_PER_ERA = 146097, DAYS_TO_1970 = 719468, YEAR_MAX = 9999 };

static const int64_t us_per_second = 1000000;
static const int64_t us_per_day = INT64_C(86400) * 1000000;

// Both conversions are Hinnant's: years start in March, so that the leap day is the last of its
// year, and are counted in eras of 400 years, which all have the same number of days.
int64_t civil_days(int32_t year, int32_t month, int32_t day)
{
    const int64_t y = (int64_t)year - (month <= 2 ? 1 : 0);
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t year_of_era = y - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

static CivilTime date_of_days(int64_t days)
{
    days += DAYS_TO_1970;
    const int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    const int64_t day_of_era = days - era * DAYS_PER_ERA;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const int64_t month = month_from_march + (month_from_march < 10 ? 3 : -9);
    return (CivilTime){
        .year = (int32_t)(year_of_era + era * 400 + (month <= 2 ? 1 : 0)),
        .month = (int32_t)month,
        .day = (int32_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
    };
}

CivilTime civil_from_us(int64_t us)
{
    int64_t days = us / us_per_day;
    int64_t rest = us % us_per_day;
    if (rest < 0) {
        rest += us_per_day;
        days--;
    }
    CivilTime t = date_of_days(days);
    const int64_t seconds = rest / us_per_second;
    t.hour = (int32_t)(seconds / 3600);
    t.minute = (int32_t)(seconds / 60 % 60);
    t.second = (int32_t)(seconds % 60);
    t.us = (int32_t)(rest % us_per_second);
    return t;
}

int64_t civil_to_us(CivilTime t)
{
    const int64_t seconds = (int64_t)t.hour * 3600 + (int64_t)t.minute * 60 + t.second;
    return civil_days(t.year, t.month, t.day) * us_per_day + seconds * us_per_second + t.us;
}

static int32_t days_in_month(int32_t year, int32_t month)
{
    static const int32_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

// Cuts exactly `count` digits off the front of *s; false when they are not there.
static bool cut_digits(Str *s, size_t count, int32_t *out)
{
    int32_t v = 0;
    if (s->len < count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const int32_t digit = s->ptr[i] - '0';
        if (digit < 0 || digit > 9) {
            return false;
        }
        v = v * 10 + digit;
    }
    *s = str_slice(*s, count, s->len);
    *out = v;
    return true;
}

static bool cut_char(Str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c) {
        return false;
    }
    *s = str_slice(*s, 1, s->len);
    return true;
}

static bool cut_date(Str *s, CivilTime *t)
{
    return cut_digits(s, 4, &t->year) && cut_char(s, '-') && cut_digits(s, 2, &t->month) &&
           cut_char(s, '-') && cut_digits(s, 2, &t->day) && t->year >= 1 && t->month >= 1 &&
           t->month <= 12 && t->day >= 1 && t->day <= days_in_month(t->year, t->month);
}

// ".5", ".123456789": at least one digit; those past the sixth are cut.
static bool cut_fraction(Str *s, int32_t *us)
{
    size_t count = 0;
    int32_t v = 0;
    for (; count < s->len && s->ptr[count] >= '0' && s->ptr[count] <= '9'; count++) {
        v = count < 6 ? v * 10 + (s->ptr[count] - '0') : v;
    }
    for (size_t i = count; i < 6; i++) {
        v *= 10;
    }
    *us = v;
    *s = str_slice(*s, count, s->len);
    return count > 0;
}

static bool cut_clock(Str *s, CivilTime *t)
{
    if (!(cut_digits(s, 2, &t->hour) && cut_char(s, ':') && cut_digits(s, 2, &t->minute) &&
          cut_char(s, ':') && cut_digits(s, 2, &t->second))) {
        return false;
    }
    if (t->hour > 23 || t->minute > 59 || t->second > 59) {
        return false;
    }
    return !cut_char(s, '.') || cut_fraction(s, &t->us);
}

static bool cut_zone(Str *s, int64_t *offset_us)
{
    int32_t hours = 0, minutes = 0;
    *offset_us = 0;
    if (s->len == 0 || cut_char(s, 'Z') || cut_char(s, 'z')) {
        return true;
    }
    const bool west = s->ptr[0] == '-';
    if (!(cut_char(s, '+') || cut_char(s, '-')) || !cut_digits(s, 2, &hours) || !cut_char(s, ':') ||
        !cut_digits(s, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *offset_us = ((int64_t)hours * 60 + minutes) * 60 * us_per_second * (west ? -1 : 1);
    return true;
}

bool civil_parse_us(Str s, int64_t *us)
{
    CivilTime t = {0};
    int64_t offset_us = 0;
    if (!cut_date(&s, &t)) {
        return false;
    }
    if (s.len != 0) {
        if (!(cut_char(&s, 'T') || cut_char(&s, 't') || cut_char(&s, ' ')) || !cut_clock(&s, &t) ||
            !cut_zone(&s, &offset_us) || s.len != 0) {
            return false;
        }
    }
    const int64_t v = civil_to_us(t) - offset_us; // both are bounded: year 9999, one day
    const int32_t year = civil_from_us(v).year;   // the zone may have moved it out of the range
    if (year < 1 || year > YEAR_MAX) {
        return false;
    }
    *us = v;
    return true;
}

static void put_padded(Buf *b, int32_t v, size_t digits)
{
    char text[6];
    DCHECK(digits <= sizeof(text));
    for (size_t i = digits; i > 0; i--) {
        text[i - 1] = (char)('0' + v % 10);
        v /= 10;
    }
    buf_put(b, text, digits);
}

static void put_date(Buf *b, CivilTime t)
{
    if (t.year >= 0 && t.year <= YEAR_MAX) {
        put_padded(b, t.year, 4);
    } else {
        // ISO 8601's expanded form: always a sign, six digits.
        buf_put_u8(b, t.year < 0 ? '-' : '+');
        const int32_t year = t.year < 0 ? -t.year : t.year;
        if (year > 999999) {
            buf_putf(b, "%" PRId32, year);
        } else {
            put_padded(b, year, 6);
        }
    }
    buf_put_u8(b, '-');
    put_padded(b, t.month, 2);
    buf_put_u8(b, '-');
    put_padded(b, t.day, 2);
}

void civil_put_date(Buf *b, int32_t days)
{
    put_date(b, date_of_days(days));
}

void civil_put_rfc3339(Buf *b, int64_t us)
{
    const CivilTime t = civil_from_us(us);
    put_date(b, t);
    buf_put_u8(b, 'T');
    put_padded(b, t.hour, 2);
    buf_put_u8(b, ':');
    put_padded(b, t.minute, 2);
    buf_put_u8(b, ':');
    put_padded(b, t.second, 2);
    if (t.us != 0) {
        const bool whole_ms = t.us % 1000 == 0;
        buf_put_u8(b, '.');
        put_padded(b, whole_ms ? t.us / 1000 : t.us, whole_ms ? 3 : 6);
    }
    buf_put_u8(b, 'Z');
}
