// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include "base/civil.h"
#include "base/utf8.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    // Up to here fields may be put; what remains is for a closing quote and the end of the line.
    LINE_FIELDS_MAX = LOG_LINE_MAX - (int)sizeof("\" truncated=true\n"),
    ESCAPE_BYTES = 8, // the longest escape, and its NUL
};

// The sink is the one piece of process-wide state here; the pointer is released by log_set_sink()
// and acquired by log_emit(), so a thread that sees the pointer sees the struct behind it.
static _Atomic(const LogSink *) current_sink;
static atomic_int current_min_level;

// A line under construction in a buffer on the stack. Once `full`, nothing more is taken.
typedef struct Line {
    char text[LOG_LINE_MAX];
    size_t len;
    bool full;
} Line;

// All of it or nothing.
static bool line_put(Line *line, Str s)
{
    if (line->full || line->len + s.len > LINE_FIELDS_MAX) {
        line->full = true;
        return false;
    }
    if (s.len != 0) {
        memcpy(line->text + line->len, s.ptr, s.len);
        line->len += s.len;
    }
    return true;
}

static bool is_plain(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
}

static bool needs_quotes(Str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (!is_plain((uint8_t)value.ptr[i])) {
            return true;
        }
    }
    return value.len == 0;
}

// How one character is written inside quotes: control characters (C0, DEL and C1, which terminals
// obey) as \u00XX, a byte that is not UTF-8 as U+FFFD. *used says how many bytes of `s` it took.
static Str escape_char(Str s, char out[static ESCAPE_BYTES], size_t *used)
{
    const uint8_t c = (uint8_t)s.ptr[0];
    *used = 1;
    if (c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t') {
        out[0] = '\\';
        out[1] = (char)(c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c);
        return (Str){out, 2};
    }
    if (c < ' ' || c == 0x7f) {
        (void)snprintf(out, ESCAPE_BYTES, "\\u%04x", c);
        return (Str){out, 6};
    }
    if (c < 0x80) {
        return (Str){s.ptr, 1};
    }
    size_t len = 2; // 2..4: the shortest prefix that is a character
    while (len <= 4 && len <= s.len && !utf8_is_valid(str_slice(s, 0, len))) {
        len++;
    }
    if (len > 4 || len > s.len) {
        return STR("\xef\xbf\xbd");
    }
    *used = len;
    if (c == 0xc2 && (uint8_t)s.ptr[1] < 0xa0) {
        (void)snprintf(out, ESCAPE_BYTES, "\\u%04x", (uint8_t)s.ptr[1]);
        return (Str){out, 6};
    }
    return (Str){s.ptr, len};
}

static void put_value(Line *line, Str value)
{
    if (!needs_quotes(value)) {
        // Cut rather than dropped when it is long: the start of a path is better than nothing.
        const size_t room = LINE_FIELDS_MAX - line->len;
        const size_t n = value.len < room ? value.len : room;
        (void)line_put(line, str_slice(value, 0, n));
        line->full = line->full || n < value.len;
        return;
    }
    if (!line_put(line, STR("\""))) {
        return;
    }
    char escaped[ESCAPE_BYTES];
    for (size_t i = 0, used = 0; i < value.len && !line->full; i += used) {
        (void)line_put(line, escape_char(str_slice(value, i, value.len), escaped, &used));
    }
    // Part of the tail every line has room for, so the quote is closed even when the line is full.
    line->text[line->len++] = '"';
}

static void put_key(Line *line, const char *key)
{
    // A key that would leave no room for its value is not started.
    const size_t mark = line->len;
    if (!line_put(line, STR(" ")) || !line_put(line, (Str){key, strlen(key)}) ||
        !line_put(line, STR("="))) {
        line->len = mark;
    }
}

// The shortest of the usual precisions that reads back as the same number. printf takes the decimal
// point of the locale; whatever it is, a point is written here.
static Str double_text(double v, char *out, size_t cap)
{
    for (int precision = 6; precision <= 17; precision += precision == 6 ? 9 : 2) {
        (void)snprintf(out, cap, "%.*g", precision, v);
        if (strtod(out, NULL) == v) {
            break;
        }
    }
    size_t len = 0;
    for (const char *p = out; *p != '\0'; p++) {
        const bool known = (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || *p == '-' ||
                           *p == '+' || *p == '.';
        if (known || (len != 0 && out[len - 1] != '.')) {
            out[len++] = (char)(known ? *p : '.');
        }
    }
    return (Str){out, len};
}

static void put_field(Line *line, const LogField *field)
{
    char text[40];
    put_key(line, field->key);
    if (line->full) {
        return;
    }
    switch (field->kind) {
    case LOG_FIELD_STR:
        put_value(line, field->str);
        return;
    case LOG_FIELD_I64:
        (void)line_put(line,
                       (Str){text, (size_t)snprintf(text, sizeof(text), "%" PRId64, field->i64)});
        return;
    case LOG_FIELD_U64:
        (void)line_put(line,
                       (Str){text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, field->u64)});
        return;
    case LOG_FIELD_F64:
        (void)line_put(line, double_text(field->f64, text, sizeof(text)));
        return;
    }
    UNREACHABLE();
}

static const char *level_name(LogLevel level)
{
    switch (level) {
    case LOG_DEBUG:
        return "debug";
    case LOG_INFO:
        return "info";
    case LOG_WARN:
        return "warn";
    case LOG_ERROR:
        return "error";
    }
    UNREACHABLE();
}

static void put_head(Line *line, int64_t now_us, LogLevel level)
{
    const CivilTime t = civil_from_us(now_us);
    char text[96];
    const int n = snprintf(text, sizeof(text),
                           "ts=%04" PRId32 "-%02" PRId32 "-%02" PRId32 "T%02" PRId32 ":%02" PRId32
                           ":%02" PRId32 ".%03" PRId32 "Z level=%s",
                           t.year, t.month, t.day, t.hour, t.minute, t.second, t.us / 1000,
                           level_name(level));
    (void)line_put(line, (Str){text, (size_t)n});
}

void log_set_sink(const LogSink *sink, LogLevel min_level)
{
    // Relaxed: a line more or less at the moment of the change does no harm.
    atomic_store_explicit(&current_min_level, (int)min_level, memory_order_relaxed);
    // Release: pairs with the acquire in log_emit().
    atomic_store_explicit(&current_sink, sink, memory_order_release);
}

// Whether this place may log now. Relaxed throughout: threads that meet at the turn of a second may
// let a few lines more or less through, and nothing else hangs on these numbers.
static bool site_may_log(LogSite *site, int64_t second)
{
    if (atomic_load_explicit(&site->second, memory_order_relaxed) != second) {
        atomic_store_explicit(&site->second, second, memory_order_relaxed);
        atomic_store_explicit(&site->lines, 0, memory_order_relaxed);
    }
    if (atomic_fetch_add_explicit(&site->lines, 1, memory_order_relaxed) <
        LOG_SITE_LINES_PER_SECOND) {
        return true;
    }
    (void)atomic_fetch_add_explicit(&site->suppressed, 1, memory_order_relaxed);
    return false;
}

void log_emit(LogSite *site, LogLevel level, const char *msg, const LogField *fields, size_t count)
{
    // Acquire: pairs with the release in log_set_sink().
    const LogSink *sink = atomic_load_explicit(&current_sink, memory_order_acquire);
    // Relaxed: see log_set_sink().
    if (sink == NULL ||
        (int)level < atomic_load_explicit(&current_min_level, memory_order_relaxed)) {
        return;
    }
    const int64_t now_us = sink->now_us(sink->ctx);
    if (!site_may_log(site, now_us / 1000000)) {
        return;
    }
    Line line;
    line.len = 0;
    line.full = false;
    put_head(&line, now_us, level);
    put_field(&line, &(LogField){.key = "msg", .kind = LOG_FIELD_STR, .str = {msg, strlen(msg)}});
    const uint64_t suppressed =
        atomic_exchange_explicit(&site->suppressed, 0, memory_order_relaxed); // see site_may_log()
    if (suppressed != 0) {
        put_field(&line, &LOG_U64("suppressed", suppressed));
    }
    for (size_t i = 0; i < count && !line.full; i++) {
        put_field(&line, &fields[i]);
    }
    const Str tail = line.full ? STR(" truncated=true\n") : STR("\n");
    memcpy(line.text + line.len, tail.ptr, tail.len);
    line.len += tail.len;
    sink->write(sink->ctx, (Str){line.text, line.len});
}
