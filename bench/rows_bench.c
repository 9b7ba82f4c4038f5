// SPDX-License-Identifier: Apache-2.0
//
// What the hot tier of typed tables costs: appending, memory, scanning, and sorted batches. One
// thread; CPU seconds of the process. Rows look like network flows: 12 columns, 5 of them strings.
//
//     rows_bench [rows [rows per batch]]      (2000000 10000)
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "column/builder.h"
#include "os/os.h"
#include "os/thread.h"
#include "store/rows_hot.h"
#include "store/rows_run.h"
#include "store/rows_scan.h"

#include <stdio.h>

enum { COLUMNS = 12 };

static const Field fields[COLUMNS] = {
    {{"timestamp", 9}, COLUMN_TIMESTAMP, false}, {{"src_ip", 6}, COLUMN_STRING, true},
    {{"dst_ip", 6}, COLUMN_STRING, true},        {{"src_port", 8}, COLUMN_INT32, true},
    {{"dst_port", 8}, COLUMN_INT32, true},       {{"protocol", 8}, COLUMN_STRING, true},
    {{"bytes", 5}, COLUMN_INT64, true},          {{"packets", 7}, COLUMN_INT64, true},
    {{"latency_ms", 10}, COLUMN_DOUBLE, true},   {{"retransmits", 11}, COLUMN_INT32, true},
    {{"state", 5}, COLUMN_STRING, true},         {{"process", 7}, COLUMN_STRING, true},
};
static const Schema schema = {fields, COLUMNS};

static void put_text(Builder *b, const char *fmt, unsigned x, unsigned y)
{
    char text[40];
    // The formats are literals of this file.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const int len = snprintf(text, sizeof(text), fmt, x, y);
#pragma GCC diagnostic pop
    builder_str(b, (Str){text, (size_t)len});
}

static void make_rows(Builder **b, Rng *rng, uint32_t rows, int64_t us)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        builder_clear(b[i]);
    }
    for (uint32_t row = 0; row < rows; row++) {
        const uint64_t r = rng_next(rng);
        const unsigned src = (unsigned)(r % 20000);
        const unsigned dst = (unsigned)(rng_next(rng) % 5000);
        builder_i64(b[0], us + row * 10);
        put_text(b[1], "10.1.%u.%u", src >> 8, src & 255);
        put_text(b[2], "10.2.%u.%u", dst >> 8, dst & 255);
        builder_i64(b[3], (int64_t)(r >> 32) % 60000 + 1024);
        builder_i64(b[4], r % 3 == 0 ? 443 : 9090);
        put_text(b[5], r % 10 == 0 ? "udp" : "tcp", 0, 0);
        builder_i64(b[6], (int64_t)(r >> 40) % 100000);
        builder_i64(b[7], (int64_t)(r >> 50) % 100);
        builder_f64(b[8], (double)((r >> 20) % 10000) / 100);
        builder_i64(b[9], r % 50 == 0);
        put_text(b[10], r % 5 == 0 ? "closed" : "established", 0, 0);
        put_text(b[11], "process-%u", src % 40, 0);
    }
}

static uint32_t arg(int argc, char **argv, int i, uint32_t if_absent)
{
    uint64_t v = if_absent;
    if (i < argc && (!num_parse_u64((Str){argv[i], strlen(argv[i])}, &v) || v > UINT32_MAX)) {
        base_panic(__FILE__, __LINE__, "usage: rows_bench [rows [rows per batch]]");
    }
    return (uint32_t)v;
}

static Status sink(void *ctx, Bytes payload, uint64_t *sequence, Err *err)
{
    uint64_t *bytes = ctx;
    (void)err;
    *bytes += payload.len;
    *sequence = *bytes;
    return OK;
}

static void must(Status st, const Err *err)
{
    if (st != OK) {
        base_panic(__FILE__, __LINE__, err->msg);
    }
}

static void bench_append(RowsHot *hot, uint32_t rows, uint32_t per_batch, const uint64_t *wal)
{
    Builder *builders[COLUMNS];
    Vector vectors[COLUMNS];
    Rng rng = {.state = 1};
    Err err = {.msg = ""};
    double cpu = 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        builders[i] = builder_new(fields[i].type);
    }
    const uint64_t rss = os_memory_resident_bytes();
    for (uint32_t from = 0; from < rows; from += per_batch) {
        uint64_t sequence = 0;
        make_rows(builders, &rng, per_batch, INT64_C(1763683200000000) + from * 10);
        for (size_t i = 0; i < COLUMNS; i++) {
            vectors[i] = builder_vector(builders[i]);
        }
        const Batch batch = {&schema, vectors, per_batch};
        const double start = os_process_cpu_seconds();
        must(rows_hot_append(hot, &batch, &sequence, &err), &err);
        cpu += os_process_cpu_seconds() - start;
    }
    printf("append          %8.1f ns per row: %.1f M rows/s, %.1f B of WAL\n", cpu * 1e9 / rows,
           rows / cpu / 1e6, (double)*wal / rows);
    printf("memory          %8.1f B RSS per row; accounted %.1f B\n",
           (double)(os_memory_resident_bytes() - rss) / rows, (double)rows_hot_bytes(hot) / rows);
    for (size_t i = 0; i < COLUMNS; i++) {
        builder_free(builders[i]);
    }
}

static void bench_scan(RowsWindow *window)
{
    size_t columns[COLUMNS];
    RowsScan *scan = NULL;
    Batch batch;
    Err err = {.msg = ""};
    uint64_t rows = 0;
    const double cpu = os_process_cpu_seconds();
    for (size_t i = 0; i < COLUMNS; i++) {
        columns[i] = i;
    }
    must(rows_scan_open(
             &(RowsScanOptions){
                 .window = window, .schema = &schema, .columns = columns, .column_count = COLUMNS},
             &scan, &err),
         &err);
    RowsScanWorker *worker = rows_scan_worker_new(scan);
    do {
        must(rows_scan_next(worker, &batch, &err), &err);
        rows += batch.row_count;
    } while (batch.row_count != 0);
    rows_scan_worker_free(worker);
    rows_scan_close(scan);
    printf("scan            %8.0f us for %u rows\n", (os_process_cpu_seconds() - cpu) * 1e6,
           (unsigned)rows);
}

static void bench_run(RowsWindow *window, uint32_t rows)
{
    RowsRun *run = NULL;
    Batch batch;
    Err err = {.msg = ""};
    uint64_t runs = 0;
    double cpu = os_process_cpu_seconds();
    must(rows_run_open(&(RowsRunOptions){.windows = &window, .window_count = 1, .schema = &schema},
                       &run, &err),
         &err);
    const double sort = os_process_cpu_seconds() - cpu;
    cpu = os_process_cpu_seconds();
    RowsCursor *cursor = rows_cursor_new(run, &(RowsCursorOptions){0});
    do {
        must(rows_cursor_next(cursor, &batch, &err), &err);
        for (size_t i = 0; i < COLUMNS && batch.row_count != 0; i++) {
            runs += batch.columns[i].run_count;
        }
    } while (batch.row_count != 0);
    const double gather = os_process_cpu_seconds() - cpu;
    rows_cursor_free(cursor);
    rows_run_close(run);
    printf("sort            %8.1f ns per row\n", sort * 1e9 / rows);
    printf("sorted batches  %8.1f ns per row; with the sort %.1f M rows/s, %u runs\n",
           gather * 1e9 / rows, rows / (sort + gather) / 1e6, (unsigned)runs);
}

int main(int argc, char **argv)
{
    const uint32_t rows = arg(argc, argv, 1, 2000000);
    const uint32_t per_batch = arg(argc, argv, 2, 10000);
    const Str key[] = {STR("src_ip"), STR("dst_ip"), STR("timestamp")};
    const TableDef def = {
        .name = STR("flows"), .schema = schema, .sort_key = key, .sort_key_count = 3};
    uint64_t wal = 0;
    RowsHot *hot = NULL;
    Err err = {.msg = ""};
    must(rows_hot_new(&(RowsHotOptions){.def = &def, .nonce = 1, .log = {sink, &wal}}, &hot, &err),
         &err);
    bench_append(hot, rows, per_batch, &wal);
    RowsWindow *window = rows_hot_seal(hot);
    bench_scan(window);
    bench_run(window, rows);
    rows_window_unref(window);
    rows_hot_free(hot);
    return 0;
}
