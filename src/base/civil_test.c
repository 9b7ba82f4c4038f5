// SPDX-License-Identifier: Apache-2.0
#include "base/civil.h"
#include "tests/support/test.h"

#include <time.h>

TEST(civil, days)
{
    static const struct {
        int32_t year, month, day;
        int64_t days;
    } cases[] = {
        {1970, 1, 1, 0},         {1969, 12, 31, -1},    {2000, 2, 29, 11016},
        {2000, 3, 1, 11017},     {1900, 2, 28, -25509}, {1900, 3, 1, -25508},
        {1, 1, 1, -719162},      {0, 3, 1, -719468},    {0, 2, 29, -719469},
        {9999, 12, 31, 2932896}, {-400, 3, 1, -865565}, {2026, 11, 21, 20778},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(civil_days(cases[i].year, cases[i].month, cases[i].day), cases[i].days);
        const CivilTime back = civil_from_us(cases[i].days * INT64_C(86400000000));
        CHECK_EQ(back.year, cases[i].year);
        CHECK_EQ(back.month, cases[i].month);
        CHECK_EQ(back.day, cases[i].day);
    }
}

// Every day of 800 years around the epoch follows the one before by the rules of the calendar.
TEST(civil, every_day_follows_the_one_before)
{
    CivilTime last = civil_from_us(civil_days(1570, 1, 1) * INT64_C(86400000000));
    for (int64_t day = civil_days(1570, 1, 2); day < civil_days(2370, 1, 1); day++) {
        const CivilTime now = civil_from_us(day * INT64_C(86400000000));
        CHECK_EQ(civil_days(now.year, now.month, now.day), day);
        const bool same_month = now.year == last.year && now.month == last.month;
        const bool next_month = now.day == 1 && last.day >= 28 &&
                                (now.year * 12 + now.month) == (last.year * 12 + last.month) + 1;
        CHECK((same_month && now.day == last.day + 1) || next_month);
        last = now;
    }
}

TEST(civil, agrees_with_gmtime)
{
    for (size_t i = 0; i < 20000; i++) {
        const int64_t us = (int64_t)test_random(t) / 64; // ± 4,500 years
        const CivilTime got = civil_from_us(us);
        CHECK_EQ(civil_to_us(got), us);
        CHECK(got.us >= 0 && got.us < 1000000);
        const time_t seconds = (time_t)((us - got.us) / 1000000);
        struct tm want;
        CHECK(gmtime_r(&seconds, &want) != NULL);
        CHECK_EQ(got.year, want.tm_year + 1900);
        CHECK_EQ(got.month, want.tm_mon + 1);
        CHECK_EQ(got.day, want.tm_mday);
        CHECK_EQ(got.hour, want.tm_hour);
        CHECK_EQ(got.minute, want.tm_min);
        CHECK_EQ(got.second, want.tm_sec);
    }
}

TEST(civil, extremes_do_not_overflow)
{
    CHECK_EQ(civil_to_us(civil_from_us(INT64_MAX)), INT64_MAX);
    CHECK_EQ(civil_from_us(INT64_MIN).year, -290308);
    CHECK_EQ(civil_from_us(INT64_MAX).year, 294247);
}

TEST(civil, parse)
{
    static const int64_t day_us = INT64_C(86400000000), base = INT64_C(20778);
    const struct {
        Str in;
        bool ok;
        int64_t us;
    } cases[] = {
        {STR("2026-11-21"), true, base * day_us},
        {STR("2026-11-21T10:00:00Z"), true, base * day_us + INT64_C(36000000000)},
        {STR("2026-11-21t10:00:00z"), true, base * day_us + INT64_C(36000000000)},
        {STR("2026-11-21 10:00:00"), true, base * day_us + INT64_C(36000000000)},
        {STR("2026-11-21T10:00:00.5Z"), true, base * day_us + INT64_C(36000500000)},
        {STR("2026-11-21T10:00:00.123456789Z"), true, base * day_us + INT64_C(36000123456)},
        {STR("2026-11-21T10:00:00+02:00"), true, base * day_us + INT64_C(28800000000)},
        {STR("2026-11-21T10:00:00.25-00:30"), true, base * day_us + INT64_C(37800250000)},
        {STR("1969-12-31T23:59:59.999999Z"), true, -1},
        {STR("0001-01-01T00:00:00Z"), true, INT64_C(-62135596800000000)},
        {STR("9999-12-31T23:59:59.999999Z"), true, INT64_C(253402300799999999)},
        {STR("2024-02-29"), true, INT64_C(1709164800000000)},
        {STR("2000-02-29"), true, INT64_C(951782400000000)},
        {STR("2023-02-29"), false, 0},
        {STR("1900-02-29"), false, 0},
        {STR("0000-01-01"), false, 0},
        {STR("0001-01-01T00:00:00+00:01"), false, 0},
        {STR("9999-12-31T23:59:59-00:01"), false, 0},
        {STR("2026-13-01"), false, 0},
        {STR("2026-00-01"), false, 0},
        {STR("2026-04-31"), false, 0},
        {STR("2026-04-00"), false, 0},
        {STR("2026-11-21T24:00:00Z"), false, 0},
        {STR("2026-11-21T23:60:00Z"), false, 0},
        {STR("2026-11-21T23:59:60Z"), false, 0},
        {STR("2026-11-21T10:00Z"), false, 0},
        {STR("2026-11-21T10:00:00.Z"), false, 0},
        {STR("2026-11-21T10:00:00+0200"), false, 0},
        {STR("2026-11-21T10:00:00+24:00"), false, 0},
        {STR("2026-11-21T10:00:00+02:00x"), false, 0},
        {STR("2026-11-21T10:00:00ZZ"), false, 0},
        {STR("2026-11-21T"), false, 0},
        {STR("2026-11-21 "), false, 0},
        {STR("2026-1-21"), false, 0},
        {STR("20261121"), false, 0},
        {STR("12026-11-21"), false, 0},
        {STR("-026-11-21"), false, 0},
        {STR(""), false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t us = 42;
        if (civil_parse_us(cases[i].in, &us) != cases[i].ok ||
            us != (cases[i].ok ? cases[i].us : 42)) {
            test_fail(t, __FILE__, __LINE__, "'" STR_FMT "' gives %" PRId64, STR_ARG(cases[i].in),
                      us);
        }
    }
}

TEST(civil, put)
{
    static const struct {
        int64_t us;
        Str text;
    } cases[] = {
        {0, STR("1970-01-01T00:00:00Z")},
        {-1, STR("1969-12-31T23:59:59.999999Z")},
        {INT64_C(1795255200123456), STR("2026-11-21T10:00:00.123456Z")},
        {INT64_C(1795255200120000), STR("2026-11-21T10:00:00.120Z")},
        {INT64_C(1795255200000001), STR("2026-11-21T10:00:00.000001Z")},
        {INT64_C(253402300800000000), STR("+010000-01-01T00:00:00Z")},
        {INT64_C(-62198755200000000), STR("-000001-01-01T00:00:00Z")},
    };
    Buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&b);
        civil_put_rfc3339(&b, cases[i].us);
        CHECK_STR(buf_str(&b), cases[i].text);
    }
    buf_clear(&b);
    civil_put_date(&b, 20778);
    CHECK_STR(buf_str(&b), STR("2026-11-21"));
    buf_clear(&b);
    civil_put_date(&b, INT32_MAX);
    CHECK_STR(buf_str(&b), STR("+5881580-07-11"));
    for (size_t i = 0; i < 5000; i++) { // what is written reads back
        const int64_t us = (int64_t)(test_random(t) % UINT64_C(253402300800000000));
        int64_t back = 0;
        buf_clear(&b);
        civil_put_rfc3339(&b, us);
        CHECK(civil_parse_us(buf_str(&b), &back));
        CHECK_EQ(back, us);
    }
    buf_deinit(&b);
}
