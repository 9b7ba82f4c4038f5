// SPDX-License-Identifier: Apache-2.0
//
// Structured log lines in logfmt:  log_warn("segment skipped", LOG_STR("path", p), LOG_ERR(&err));
// The message is a constant; data goes into fields. Only `server`, `cli` and background jobs of
// `store` log; everything else returns errors. Where lines go is decided once by whoever owns the
// process (log_set_sink); before that, and in tests, they are dropped. Any thread.
//
// Line:  ts=2026-11-21T10:00:00.123Z level=warn msg="segment skipped" path=/x err="..."
#pragma once

#include "base/err.h"
#include "base/str.h"

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;

typedef enum LogFieldKind {
    LOG_FIELD_STR,
    LOG_FIELD_I64,
    LOG_FIELD_U64,
    LOG_FIELD_F64
} LogFieldKind;

typedef struct LogField {
    const char *key;
    LogFieldKind kind;
    Str str;
    int64_t i64;
    uint64_t u64;
    double f64;
} LogField;

#define LOG_STR(k, v) ((LogField){.key = (k), .kind = LOG_FIELD_STR, .str = (v)})
#define LOG_CSTR(k, v) ((LogField){.key = (k), .kind = LOG_FIELD_STR, .str = {(v), strlen(v)}})
#define LOG_I64(k, v) ((LogField){.key = (k), .kind = LOG_FIELD_I64, .i64 = (v)})
#define LOG_U64(k, v) ((LogField){.key = (k), .kind = LOG_FIELD_U64, .u64 = (v)})
#define LOG_F64(k, v) ((LogField){.key = (k), .kind = LOG_FIELD_F64, .f64 = (v)})
#define LOG_ERR(e) LOG_CSTR("err", (e)->msg)

// One whole line, newline included. `now_us` comes from the process' clock.
typedef struct LogSink {
    void (*write)(void *ctx, Str line);
    int64_t (*now_us)(void *ctx);
    void *ctx;
} LogSink;

// `sink` is kept, not copied: it stays valid until another one is set and no thread logs any more.
// NULL drops everything. Its functions are called from any thread, several at once.
void log_set_sink(const LogSink *sink, LogLevel min_level);

// A line is at most this long; what does not fit is cut at a character and the line ends with
// truncated=true. Nothing is allocated.
enum { LOG_LINE_MAX = 4096 };

// A place in the code that logs. What goes wrong goes wrong often: after so many lines of one place
// in one second the rest of them are counted, and its next line says how many: suppressed=1234.
enum { LOG_SITE_LINES_PER_SECOND = 20 };
typedef struct LogSite {
    _Atomic int64_t second; // the one that `lines` counts
    _Atomic uint32_t lines;
    _Atomic uint64_t suppressed;
} LogSite;

void log_emit(LogSite *site, LogLevel level, const char *msg, const LogField *fields, size_t count);
#define LOG_EMIT(level, msg, ...)                                                                  \
    do {                                                                                           \
        static LogSite log_site_;                                                                  \
        log_emit(&log_site_, (level), (msg), (const LogField[]){__VA_ARGS__},                      \
                 sizeof((const LogField[]){__VA_ARGS__}) / sizeof(LogField));                      \
    } while (0)
// Each takes at least one field.
#define log_debug(msg, ...) LOG_EMIT(LOG_DEBUG, msg, __VA_ARGS__)
#define log_info(msg, ...) LOG_EMIT(LOG_INFO, msg, __VA_ARGS__)
#define log_warn(msg, ...) LOG_EMIT(LOG_WARN, msg, __VA_ARGS__)
#define log_error(msg, ...) LOG_EMIT(LOG_ERROR, msg, __VA_ARGS__)
