// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/crash_rows.h"

#include "base/mem.h"
#include "store/scan.h"

enum { ROW_ACKED, ROW_DOUBTED, ROW_GONE };
enum { BATCH_ROWS_MAX = 16, WIDE_FROM = 100 };

void crash_rows_deinit(CrashRows *rows)
{
    mem_free(rows->states);
    *rows = (CrashRows){0};
}

void crash_rows_write(CrashRows *rows, Store *store, Test *t, int64_t *now_ms)
{
    Err err;
    static const Field fields[] = {{.name = {"timestamp", 9}, .type = COLUMN_TIMESTAMP},
                                   {.name = {"id", 2}, .type = COLUMN_INT64},
                                   {.name = {"extra", 5}, .type = COLUMN_INT64}};
    int64_t times[BATCH_ROWS_MAX];
    int64_t ids[BATCH_ROWS_MAX];
    const uint32_t count = 1 + (uint32_t)(test_random(t) % BATCH_ROWS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        *now_ms += (int64_t)(test_random(t) % 60000);
        times[i] = *now_ms * 1000;
        ids[i] = (int64_t)rows->count + i;
    }
    Vector columns[ARRAY_LEN(fields)];
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        columns[i] =
            (Vector){.type = fields[i].type, .row_count = count, .data = i == 0 ? times : ids};
    }
    const Schema schema = {.fields = fields, .count = rows->count > WIDE_FROM ? 3 : 2};
    const Batch batch = {.schema = &schema, .columns = columns, .row_count = count};
    const Status st = store_write_rows(store, STR("events"), &batch, &err);
    rows->states = mem_grow(rows->states, &rows->cap, rows->count + count, sizeof(*rows->states));
    for (uint32_t i = 0; i < count; i++) {
        rows->states[rows->count++] = st == OK ? ROW_ACKED : ROW_DOUBTED;
    }
}

static void count_rows(CrashRows *rows, Snapshot *snapshot, Test *t, uint8_t *seen)
{
    Err err;
    Scan *scan;
    ScanWorker *worker;
    Batch batch;
    const size_t id = schema_find(snapshot_schema(snapshot), STR("id"));
    CHECK_OK(scan_open(snapshot, &(ScanOptions){.columns = &id, .column_count = 1}, &scan, &err));
    CHECK_OK(scan_worker_open(scan, &worker, &err));
    do {
        CHECK_OK(scan_worker_next(worker, &batch, &err));
        for (uint32_t row = 0; row < batch.row_count; row++) {
            const Vector *flat;
            uint32_t at;
            CHECK(vector_locate(&batch.columns[0], row, &flat, &at));
            const int64_t i = ((const int64_t *)flat->data)[at];
            CHECK(i >= 0 && i < (int64_t)rows->count && seen[i] < UINT8_MAX);
            seen[i]++;
        }
    } while (batch.row_count > 0);
    scan_worker_close(worker);
    scan_close(scan);
}

void crash_rows_settle(CrashRows *rows, Store *store, Test *t, uint64_t when)
{
    Err err;
    Snapshot *snapshot;
    uint8_t *seen = arena_new(&t->arena, uint8_t, rows->count + 1);
    if (snapshot_open(store, STR("events"), &snapshot, &err) == OK) {
        count_rows(rows, snapshot, t, seen);
        snapshot_close(snapshot);
    }
    for (size_t i = 0; i < rows->count; i++) {
        const uint8_t state = rows->states[i];
        if (seen[i] > 1 || (seen[i] == 0 && state == ROW_ACKED) ||
            (seen[i] == 1 && state == ROW_GONE)) {
            test_fail(t, __FILE__, __LINE__, "at %" PRIu64 ": row %zu is there %u times, state %u",
                      when, i, seen[i], state);
        }
        rows->states[i] = seen[i] == 1 ? ROW_ACKED : ROW_GONE;
    }
}
