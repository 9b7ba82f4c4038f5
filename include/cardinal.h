/* SPDX-License-Identifier: Apache-2.0
 *
 * libcardinal: cardinal inside your program. Opens a data folder, writes samples and rows, which are durable when
 * the call returns, and answers SQL over what is in memory and what is in Parquet files, as one.
 *
 * A cardinal_db may be used from any thread; a cardinal_result belongs to one thread at a time. One process at a
 * time has a folder open. Text is UTF-8. Functions return CARDINAL_OK or a code, and then fill *error if it is
 * not NULL. Example: examples/embed.c.
 */
#ifndef CARDINAL_H
#define CARDINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CARDINAL_API __attribute__((visibility("default")))

typedef enum cardinal_code {
    CARDINAL_OK = 0,
    CARDINAL_INVALID = 1,     /* an argument, a label, a row, a statement: the message says which */
    CARDINAL_NOT_FOUND = 2,   /* a table, a folder */
    CARDINAL_IN_USE = 3,      /* another process has the folder open; a thing exists already */
    CARDINAL_LIMIT = 4,       /* over the memory limit, or too large: try less, or later */
    CARDINAL_STOPPED = 5,     /* time limit, cancelled */
    CARDINAL_CORRUPT = 6,     /* a file is damaged */
    CARDINAL_UNAVAILABLE = 7, /* the disk is full, no more files or threads, ... */
    CARDINAL_INTERNAL = 8     /* ours */
} cardinal_code;

typedef struct cardinal_error {
    cardinal_code code;
    char message[1024];
} cardinal_error;

typedef struct cardinal_db cardinal_db;
typedef struct cardinal_result cardinal_result;

/* Zeroes stand for the defaults. */
typedef struct cardinal_options {
    uint64_t
        memory_limit_bytes;    /* of rows in memory and their log; default: half of the machine's */
    int64_t flush_interval_ms; /* rows go to Parquet at this age; default: 5 minutes */
    int64_t
        sync_interval_ms; /* 0: a write returns when it is on disk; else synced at this interval */
    uint64_t sql_memory_limit_bytes;
    int64_t sql_timeout_ms; /* of one statement; default: none */
    const char *tenant;     /* default: "default" */
} cardinal_options;

/* Opens the folder `path`, which is created when absent; recovers what was acknowledged before a crash.
 * `options` may be NULL. *db is NULL on failure. */
CARDINAL_API cardinal_code cardinal_open(const char *path, const cardinal_options *options,
                                         cardinal_db **db, cardinal_error *error);

/* Writes all rows to Parquet and closes; every result must be closed before. The handle is gone whatever is
 * returned. Accepts NULL. */
CARDINAL_API cardinal_code cardinal_close(cardinal_db *db, cardinal_error *error);

typedef struct cardinal_label {
    const char *name;
    const char *value;
} cardinal_label;

typedef struct cardinal_sample {
    int64_t timestamp_ms; /* since 1970-01-01 UTC */
    double value;
} cardinal_sample;

typedef struct cardinal_series {
    const cardinal_label *labels; /* any order; one is __name__, the metric */
    size_t label_count;
    const cardinal_sample *samples;
    size_t sample_count;
} cardinal_series;

/* Writes samples to `metrics`. Series whose labels break a rule are left out with all their samples, the others
 * are written; CARDINAL_INVALID says that some were, and which was the first. */
CARDINAL_API cardinal_code cardinal_write_series(cardinal_db *db, const cardinal_series *series,
                                                 size_t count, cardinal_error *error);

/* Writes rows, one JSON object a line, to a table, which is made by its first row. All or nothing. */
CARDINAL_API cardinal_code cardinal_write_json(cardinal_db *db, const char *table,
                                               const char *lines, size_t size,
                                               cardinal_error *error);

/* Writes rows in memory (of `table`, or of all when NULL) to Parquet and commits them to the table's Delta log. */
CARDINAL_API cardinal_code cardinal_flush(cardinal_db *db, const char *table,
                                          cardinal_error *error);

/* Starts one statement that reads. *result is NULL on failure. */
CARDINAL_API cardinal_code cardinal_query(cardinal_db *db, const char *sql,
                                          cardinal_result **result, cardinal_error *error);
CARDINAL_API void cardinal_result_close(cardinal_result *result); /* accepts NULL */

CARDINAL_API size_t cardinal_result_column_count(const cardinal_result *result);
CARDINAL_API const char *cardinal_result_column_name(const cardinal_result *result, size_t column);
CARDINAL_API const char *cardinal_result_column_type(const cardinal_result *result,
                                                     size_t column); /* "BIGINT" */

/* Moves to the next row. *has_row is false at the end. */
CARDINAL_API cardinal_code cardinal_result_next(cardinal_result *result, bool *has_row,
                                                cardinal_error *error);

/* Values of the current row, converted where that loses nothing a reader would miss: text from anything, numbers
 * from numbers and booleans (0 otherwise). NULL is 0 and "". Text ends with a NUL, is owned by the result, and is
 * valid until the next call for this column or cardinal_result_next(). */
CARDINAL_API bool cardinal_result_is_null(const cardinal_result *result, size_t column);
CARDINAL_API int64_t cardinal_result_int64(const cardinal_result *result,
                                           size_t column); /* times: µs */
CARDINAL_API double cardinal_result_double(const cardinal_result *result, size_t column);
CARDINAL_API const char *cardinal_result_text(cardinal_result *result, size_t column, size_t *size);

CARDINAL_API const char *cardinal_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif

#endif
