// SPDX-License-Identifier: Apache-2.0
//
// parquet_read_bench FILE...: reads Parquet files and prints one JSON line per column and one for
// all columns together: million rows per second of CPU time, and the share of rows that came as
// runs, codes or one by one. Every value is touched once (numbers are added up, codes and run ends
// too).
//
// BENCH_ROUNDS=n repeats each measurement (default 5) and gives the median. BENCH_BATCH=n sets the
// rows per batch.
#include "os/os.h"
#include "os/thread.h"
#include "parquet/reader.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS_MAX = 99, FIELDS_MAX = SCHEMA_COLUMNS_MAX };

typedef struct Result {
    uint64_t rows, runs_rows, dict_rows, flat_rows, sum;
    double seconds;
} Result;

static uint64_t env_u64(const char *name, uint64_t if_absent)
{
    const char *text = getenv(name); // NOLINT(concurrency-mt-unsafe)
    return text == NULL ? if_absent : strtoull(text, NULL, 10);
}

static uint64_t touch(const Vector *v)
{
    uint64_t sum = 0;
    switch (v->form) {
    case VECTOR_RUNS:
        return v->run_ends[v->run_count - 1] + touch(v->runs);
    case VECTOR_DICT:
        for (uint32_t i = 0; i < v->row_count; i++) {
            sum += v->codes[i];
        }
        return sum;
    case VECTOR_FLAT:
        break;
    }
    const size_t size = column_type_size(v->type);
    if (size == 8) {
        for (uint32_t i = 0; i < v->row_count; i++) {
            sum += ((const uint64_t *)v->data)[i];
        }
    } else if (size == 4) {
        for (uint32_t i = 0; i < v->row_count; i++) {
            sum += ((const uint32_t *)v->data)[i];
        }
    } else if (v->offsets != NULL) {
        sum = v->offsets[v->row_count];
    }
    return sum;
}

static Status scan(const ParquetReader *r, const size_t *fields, size_t count, Result *out,
                   Err *err)
{
    Status st = OK;
    ParquetScan *s = NULL;
    const ParquetScanOptions options = {
        .fields = fields, .field_count = count, .batch_rows = (uint32_t)env_u64("BENCH_BATCH", 0)};
    const double before = os_process_cpu_seconds();
    *out = (Result){0};
    TRY_OUT(parquet_scan_new(r, &options, &s, err));
    for (;;) {
        Batch batch;
        uint64_t first = 0;
        TRY_OUT(parquet_scan_next(s, &batch, &first, err));
        if (batch.row_count == 0) {
            break;
        }
        out->rows += batch.row_count;
        for (size_t i = 0; i < count; i++) {
            const Vector *v = &batch.columns[i];
            out->sum += touch(v);
            *(v->form == VECTOR_RUNS   ? &out->runs_rows
              : v->form == VECTOR_DICT ? &out->dict_rows
                                       : &out->flat_rows) += batch.row_count;
        }
    }
    out->seconds = os_process_cpu_seconds() - before;
out:
    parquet_scan_free(s);
    return st;
}

static int by_seconds(const void *a, const void *b)
{
    const Result *x = a, *y = b;
    return x->seconds < y->seconds ? -1 : x->seconds > y->seconds;
}

static Status measure(const ParquetReader *r, const size_t *fields, size_t count, const char *file,
                      Err *err)
{
    static Result results[ROUNDS_MAX];
    const uint64_t asked = env_u64("BENCH_ROUNDS", 5);
    const size_t rounds = asked < 1 ? 1 : asked > ROUNDS_MAX ? ROUNDS_MAX : (size_t)asked;
    size_t total = 0;
    const ParquetField *all = parquet_reader_fields(r, &total);
    for (size_t i = 0; i < rounds; i++) {
        TRY(scan(r, fields, count, &results[i], err));
    }
    qsort(results, rounds, sizeof(results[0]), by_seconds);
    const Result *m = &results[rounds / 2];
    const double cells = (double)(m->rows * count);
    const Str name = count == 1 ? all[fields[0]].field.name : STR("*");
    (void)printf("{\"file\":\"%s\",\"column\":\"" STR_FMT "\",\"rows\":%" PRIu64
                 ",\"cpu_ms\":%.2f,\"mrows_per_s\":%.1f,\"runs\":%.2f,\"dict\":%.2f,\"flat\":%.2f,"
                 "\"sum\":%" PRIu64 "}\n",
                 file, STR_ARG(name), m->rows, m->seconds * 1e3, (double)m->rows / m->seconds / 1e6,
                 (double)m->runs_rows / cells, (double)m->dict_rows / cells,
                 (double)m->flat_rows / cells, m->sum);
    return OK;
}

static Status bench_file(const char *path, Err *err)
{
    Status st = OK;
    OsFile *file = NULL;
    ParquetSource source;
    ParquetReader *r = NULL;
    static size_t readable[FIELDS_MAX];
    size_t count = 0, readable_count = 0;
    TRY_OUT(os_file_open(os_posix(), (Str){.ptr = path, .len = strlen(path)}, OS_OPEN_READ, &file,
                         err));
    TRY_OUT(parquet_source_file(file, &source, err));
    TRY_OUT(parquet_reader_open(source, &r, err));
    const ParquetField *fields = parquet_reader_fields(r, &count);
    for (size_t i = 0; i < count && readable_count < FIELDS_MAX; i++) {
        if (fields[i].readable) {
            readable[readable_count++] = i;
            TRY_OUT(measure(r, &i, 1, path, err));
        }
    }
    TRY_OUT(measure(r, readable, readable_count, path, err));
out:
    parquet_reader_free(r);
    os_file_close(file);
    return st;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        Err err;
        if (bench_file(argv[i], &err) != OK) {
            (void)fprintf(stderr, "%s: %s\n", argv[i], err.msg);
            return 1;
        }
    }
    return 0;
}
