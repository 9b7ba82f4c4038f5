// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/utf8.h"
#include "tests/support/test.h"

#include <math.h>

typedef struct Capture {
    char text[LOG_LINE_MAX];
    size_t len;
    size_t lines;
} Capture;

static void capture_write(void *ctx, Str line)
{
    Capture *c = ctx;
    memcpy(c->text, line.ptr, line.len);
    c->len = line.len;
    c->lines++;
}

// A minute later with every look, so that no place logs too often.
static int64_t minutes;

static int64_t capture_now_us(void *ctx)
{
    (void)ctx;
    return INT64_C(1795255200123456) + INT64_C(60000000) * minutes++;
}

static int64_t frozen_now_us(void *ctx)
{
    (void)ctx;
    return INT64_C(1795255200123456) + INT64_C(60000000) * minutes;
}

// What comes after the time and the level of the only line, without the newline.
static Str captured(const Capture *c)
{
    static const char head[] = "ts=2026-11-21T10:00:00.123Z", rest[] = " level=warn msg=m ";
    const Str line = {c->text, c->len};
    const size_t ts = sizeof(head) - 1, n = ts + sizeof(rest) - 1;
    if (c->lines != 1 || line.len <= n || memcmp(line.ptr, head, 13) != 0 ||
        memcmp(line.ptr + ts, rest, sizeof(rest) - 1) != 0 || line.ptr[line.len - 1] != '\n') {
        return STR("(not one whole line)");
    }
    return str_slice(line, n, line.len - 1);
}

TEST(log, fields)
{
    const struct {
        LogField field;
        Str want;
    } cases[] = {
        {LOG_STR("path", STR("/x/y-1.parquet")), STR("path=/x/y-1.parquet")},
        {LOG_STR("k", STR("two words")), STR("k=\"two words\"")},
        {LOG_STR("k", STR("")), STR("k=\"\"")},
        {LOG_STR("k", STR("a=b")), STR("k=\"a=b\"")},
        {LOG_STR("k", STR("say \"hi\" \\o/")), STR("k=\"say \\\"hi\\\" \\\\o/\"")},
        {LOG_STR("k", STR("l1\nl2\r\t")), STR("k=\"l1\\nl2\\r\\t\"")},
        {LOG_STR("k", STR("\x1b[2J\x7f")), STR("k=\"\\u001b[2J\\u007f\"")},
        {LOG_STR("k", STR("a\0b")), STR("k=\"a\\u0000b\"")},
        {LOG_STR("k", STR("caf\xc3\xa9")), STR("k=\"caf\xc3\xa9\"")},
        {LOG_STR("k", STR("\xf0\x9f\x98\x80!")), STR("k=\"\xf0\x9f\x98\x80!\"")},
        {LOG_STR("k", STR("\xc2\x9bm")), STR("k=\"\\u009bm\"")},
        {LOG_STR("k", STR("bad\xff\xe2\x82z")),
         STR("k=\"bad\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"")},
        {LOG_I64("n", INT64_MIN), STR("n=-9223372036854775808")},
        {LOG_U64("n", UINT64_MAX), STR("n=18446744073709551615")},
        {LOG_F64("f", 0.25), STR("f=0.25")},
        {LOG_F64("f", 0.1), STR("f=0.1")},
        {LOG_F64("f", 0.1 + 0.2), STR("f=0.30000000000000004")},
        {LOG_F64("f", 1e300), STR("f=1e+300")},
        {LOG_F64("f", -(double)INFINITY), STR("f=-inf")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Capture c = {0};
        const LogSink sink = {capture_write, capture_now_us, &c};
        log_set_sink(&sink, LOG_INFO);
        log_warn("m", cases[i].field);
        log_set_sink(NULL, LOG_INFO);
        CHECK_STR(captured(&c), cases[i].want);
    }
}

TEST(log, levels_and_no_sink)
{
    Capture c = {0};
    const LogSink sink = {capture_write, frozen_now_us, &c};
    Err err;
    minutes = 0;
    (void)err_set(&err, ERR_CORRUPT, "bad magic");
    log_set_sink(&sink, LOG_WARN);
    log_debug("m", LOG_I64("n", 1));
    log_info("m", LOG_I64("n", 1));
    CHECK_EQ(c.lines, 0);
    log_error("it is broken", LOG_ERR(&err), LOG_I64("n", 1));
    CHECK_EQ(c.lines, 1);
    CHECK_STR(((Str){c.text, c.len}),
              STR("ts=2026-11-21T10:00:00.123Z level=error msg=\"it is broken\" err=\"bad magic\" "
                  "n=1\n"));
    log_set_sink(NULL, LOG_DEBUG);
    log_error("m", LOG_I64("n", 1));
    CHECK_EQ(c.lines, 1);
}

TEST(log, a_place_that_logs_too_often_is_held_back)
{
    Capture c = {0};
    const LogSink sink = {capture_write, frozen_now_us, &c};
    log_set_sink(&sink, LOG_INFO);
    for (size_t i = 1; i <= 107; i++) {
        minutes += i == 103 ? 1 : 0; // another second
        log_warn("m", LOG_U64("i", i));
        const size_t want = i <= 20 ? i : i < 103 ? 20 : i - 102 + 20;
        CHECK_EQ(c.lines, want);
        const Str line = {c.text, c.len};
        const bool says = line.len > 30 && str_eq(str_slice(line, line.len - 20, line.len),
                                                  STR("suppressed=82 i=103\n"));
        CHECK_EQ(says, i == 103);
    }
    log_warn("m", LOG_U64("i", 0)); // another place
    CHECK_EQ(c.lines, 26);
    log_set_sink(NULL, LOG_INFO);
}

// Values of every length around the limit, plain and quoted: always one valid line, never too long.
TEST(log, long_values_are_cut_cleanly)
{
    static const char *const kinds[] = {"x", "\n", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xff"};
    static char value[5000];
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        const size_t n = strlen(kinds[k]);
        for (size_t len = 600; len<4300; len += len> 900 && len < 3900 ? 37 : 1) {
            for (size_t i = 0; i + n <= sizeof(value); i += n) {
                memcpy(value + i, kinds[k], n);
            }
            Capture c = {0};
            const LogSink sink = {capture_write, capture_now_us, &c};
            log_set_sink(&sink, LOG_INFO);
            log_warn("m", LOG_STR("v", ((Str){value, len / n * n})), LOG_I64("last", 12345));
            log_set_sink(NULL, LOG_INFO);
            const Str line = {c.text, c.len};
            const Str whole = STR(" last=12345\n"), cut = STR(" truncated=true\n");
            CHECK_EQ(c.lines, 1);
            CHECK(line.len <= LOG_LINE_MAX);
            CHECK(utf8_is_valid(line));
            const bool is_whole = str_eq(str_slice(line, line.len - whole.len, line.len), whole);
            const bool is_cut = str_eq(str_slice(line, line.len - cut.len, line.len), cut);
            CHECK(is_whole != is_cut);
            CHECK(is_whole || line.len > LOG_LINE_MAX - 40);
            size_t quotes = 0;
            for (size_t i = 0; i < line.len; i++) {
                quotes += line.ptr[i] == '"' ? 1 : 0;
                CHECK(line.ptr[i] != '\n' || i == line.len - 1);
            }
            CHECK_EQ(quotes, strcmp(kinds[k], "x") == 0 ? 0 : 2);
        }
    }
}
