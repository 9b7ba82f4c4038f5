// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "codec/varint.h"
#include "series/histogram.h"
#include "store/metrics_hot.h"
#include "store/metrics_run.h"
#include "store/metrics_scan.h"
#include "tests/support/test.h"

#define NOW_MS INT64_C(1763683200000)
#define UP "\x0a\x0e\x0a\x08__name__\x12\x02up"

static const Bytes up = {(const uint8_t *)UP, sizeof(UP) - 1};

// --- one series in a tier of its own -------------------------------------------------------------

typedef struct Frames {
    Buf payload; // of the newest frame
    uint32_t shard;
    uint64_t count;
    size_t bytes_max;
    MetricsHot *again; // gets all of them, unless NULL
    MetricsReplay figures;
} Frames;

static Status keep_frame(void *ctx, uint32_t shard, Bytes payload, uint64_t *sequence, Err *err)
{
    Frames *f = ctx;
    buf_clear(&f->payload);
    buf_put(&f->payload, payload.ptr, payload.len);
    f->shard = shard;
    f->bytes_max = payload.len > f->bytes_max ? payload.len : f->bytes_max;
    *sequence = ++f->count;
    return f->again == NULL
               ? OK
               : metrics_hot_replay(f->again, shard, f->count, payload, &f->figures, err);
}

static MetricsHot *hot_new(Frames *frames, const Schema *schema)
{
    MetricsHotOptions options = {.key = {99}, .floor_ms = INT64_MIN, .nonce = 1, .schema = schema};
    if (frames != NULL) {
        *frames = (Frames){0};
        buf_init(&frames->payload, 0);
        options.log = (MetricsLog){keep_frame, frames};
    }
    return metrics_hot_new(&options);
}

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static Bytes bytes_of(const char *text)
{
    return (Bytes){(const uint8_t *)text, strlen(text)};
}

// One sample of `up`; `extra` may be NULL.
static MetricsResult put(Test *t, MetricsHot *hot, int64_t ms, double value,
                         const MetricsExtra *extra)
{
    const MetricsSeries series = {.labels = up, .sample_count = 1};
    const MetricsBatch batch = {&series, 1, &ms, &value, extra};
    MetricsResult result;
    uint64_t sequence;
    Err err;
    CHECK_OK(metrics_hot_append(hot, &batch, &result, &sequence, &err));
    return result;
}

typedef struct Row {
    int64_t ms;
    bool has_value, has_start;
    uint64_t bits;
    int64_t start_ms;
    Str blob; // in the arena of the test; ptr NULL: null
} Row;

typedef struct Rows {
    Row *rows;
    size_t count;
    uint32_t batch_rows_max;
    uint64_t batch_bytes_max; // of histograms
} Rows;

static void collect(Test *t, const Batch *batch, Rows *out, size_t *cap)
{
    Err err;
    uint64_t bytes = 0;
    for (uint32_t row = 0; row < batch->row_count; row++) {
        Row r = {0};
        for (size_t i = 0; i < batch->schema->count; i++) {
            const Str name = batch->schema->fields[i].name;
            const Vector *v = &batch->columns[i];
            const Vector *flat;
            uint32_t at;
            if (row == 0) {
                CHECK_EQ(v->type, batch->schema->fields[i].type);
                CHECK_OK(vector_validate(v, &err));
            }
            if (!vector_locate(v, row, &flat, &at)) {
                continue;
            }
            if (str_eq(name, STR("timestamp"))) {
                r.ms = ((const int64_t *)flat->data)[at] / 1000;
            } else if (str_eq(name, STR("value"))) {
                r.has_value = true;
                r.bits = bits_of(((const double *)flat->data)[at]);
            } else if (str_eq(name, STR("histogram"))) {
                r.blob = arena_str(&t->arena, vector_flat_str(flat, at));
                bytes += r.blob.len;
            } else if (str_eq(name, STR("start_timestamp"))) {
                r.has_start = true;
                r.start_ms = ((const int64_t *)flat->data)[at] / 1000;
            }
        }
        out->rows = mem_grow(out->rows, cap, out->count + 1, sizeof(*out->rows));
        out->rows[out->count++] = r;
    }
    out->batch_rows_max =
        batch->row_count > out->batch_rows_max ? batch->row_count : out->batch_rows_max;
    out->batch_bytes_max = bytes > out->batch_bytes_max ? bytes : out->batch_bytes_max;
}

// The rows of the tier's active windows: by a run, or by scans.
static Rows read_rows(Test *t, MetricsHot *hot, bool by_run)
{
    MetricsWindow *windows[METRICS_SHARDS];
    size_t columns[16];
    Rows out = {0};
    size_t cap = 0;
    Schema schema;
    size_t label_count;
    Batch batch;
    Err err;
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        windows[i] = metrics_hot_active(hot, i);
    }
    metrics_hot_schema(hot, &t->arena, &schema, &label_count);
    for (size_t i = 0; i < schema.count; i++) {
        columns[i] = i;
    }
    MetricsRun *run = NULL;
    const MetricsRunOptions run_options = {
        .windows = windows, .window_count = by_run ? METRICS_SHARDS : 0, .schema = &schema};
    CHECK_OK(metrics_run_open(&run_options, &run, &err));
    MetricsCursor *cursor = metrics_cursor_new(run, &(MetricsCursorOptions){0});
    do {
        CHECK_OK(metrics_cursor_next(cursor, &batch, &err));
        collect(t, &batch, &out, &cap);
    } while (batch.row_count != 0);
    metrics_cursor_free(cursor);
    metrics_run_close(run);
    for (uint32_t i = 0; i < METRICS_SHARDS && !by_run; i++) {
        MetricsScan *scan = NULL;
        const MetricsScanOptions scan_options = {.window = windows[i],
                                                 .schema = &schema,
                                                 .columns = columns,
                                                 .column_count = schema.count};
        CHECK_OK(metrics_scan_open(&scan_options, &scan, &err));
        MetricsScanWorker *worker = metrics_scan_worker_new(scan);
        do {
            CHECK_OK(metrics_scan_next(worker, &batch, &err));
            collect(t, &batch, &out, &cap);
        } while (batch.row_count != 0);
        metrics_scan_worker_free(worker);
        metrics_scan_close(scan);
    }
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        metrics_window_unref(windows[i]);
    }
    return out;
}

static bool has_column(Test *t, MetricsHot *hot, const char *name)
{
    Schema schema;
    size_t label_count;
    metrics_hot_schema(hot, &t->arena, &schema, &label_count);
    return schema_find(&schema, (Str){name, strlen(name)}) != SIZE_MAX;
}

// --- what is kept --------------------------------------------------------------------------------

TEST(metrics_extra, every_kind_of_sample_comes_back)
{
    static const uint64_t stale = UINT64_C(0x7ff0000000000002);
    static const struct {
        uint64_t bits;
        const char *blob; // NULL: a float
        int64_t start_ms;
    } samples[] = {
        {0, NULL, INT64_MIN},
        {stale, NULL, INT64_MIN},
        {UINT64_C(0xfffc000000000000), NULL, INT64_MIN}, // what records look like
        {UINT64_C(0xfffcffffffffffff), NULL, INT64_MIN},
        {UINT64_C(0xfffc123456789abc), NULL, NOW_MS - 5},
        {UINT64_C(0xfffb000000000000), NULL, INT64_MIN},
        {UINT64_C(0xfffd000000000000), NULL, INT64_MIN},
        {UINT64_C(0x3ff0000000000000), NULL, NOW_MS + 5},
        {UINT64_C(0x3ff0000000000000), NULL, METRICS_TIMESTAMP_MIN_MS},
        {0, "a blob", INT64_MIN},
        {stale, "b", METRICS_TIMESTAMP_MAX_MS},
        {0, "another blob, which is longer", 0},
    };
    Frames frames;
    MetricsHot *hot = hot_new(&frames, NULL);
    MetricsHot *again = hot_new(NULL, NULL);
    MetricsReplay figures = {0};
    Err err;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        MetricsExtra extra = {.start_ms = samples[i].start_ms};
        if (samples[i].blob != NULL) {
            extra.histogram = bytes_of(samples[i].blob);
        }
        const MetricsResult result =
            put(t, hot, NOW_MS + (int64_t)i, double_of(samples[i].bits), &extra);
        CHECK_EQ(result.samples_written, 1);
        CHECK_EQ(result.histograms_written, samples[i].blob != NULL);
        CHECK_OK(metrics_hot_replay(again, frames.shard, i + 1, buf_bytes(&frames.payload),
                                    &figures, &err));
    }
    CHECK_EQ(figures.samples, ARRAY_LEN(samples));
    for (int way = 0; way < 4; way++) {
        const Rows got = read_rows(t, way < 2 ? hot : again, way % 2 == 0);
        CHECK_EQ(got.count, ARRAY_LEN(samples));
        for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
            const Row *r = &got.rows[i];
            CHECK_EQ(r->ms, NOW_MS + (int64_t)i);
            CHECK_EQ(r->has_value, samples[i].blob == NULL);
            CHECK(!r->has_value || r->bits == samples[i].bits);
            CHECK_EQ(r->blob.ptr != NULL, samples[i].blob != NULL);
            if (samples[i].blob != NULL) {
                CHECK_STR(r->blob, ((Str){samples[i].blob, strlen(samples[i].blob)}));
            }
            CHECK_EQ(r->has_start, samples[i].start_ms != INT64_MIN);
            CHECK(!r->has_start || r->start_ms == samples[i].start_ms);
        }
        mem_free(got.rows);
    }
    metrics_hot_free(hot);
    metrics_hot_free(again);
    buf_deinit(&frames.payload);
}

TEST(metrics_extra, columns_come_when_they_are_needed)
{
    MetricsHot *hot = hot_new(NULL, NULL);
    MetricsExtra extra = {.start_ms = INT64_MIN};
    Schema schema;
    size_t label_count;
    (void)put(t, hot, NOW_MS, 1, &extra);
    (void)put(t, hot, NOW_MS, double_of(UINT64_C(0xfffc000000000000)), NULL);
    CHECK(!has_column(t, hot, "histogram") && !has_column(t, hot, "start_timestamp"));
    extra.start_ms = NOW_MS;
    (void)put(t, hot, NOW_MS + 1, 1, &extra);
    CHECK(!has_column(t, hot, "histogram") && has_column(t, hot, "start_timestamp"));
    metrics_hot_schema(hot, &t->arena, &schema, &label_count);
    CHECK(!schema.fields[schema_find(&schema, STR("value"))].nullable);
    extra = (MetricsExtra){.start_ms = INT64_MIN, .histogram = bytes_of("x")};
    (void)put(t, hot, NOW_MS + 2, 1, &extra);
    metrics_hot_schema(hot, &t->arena, &schema, &label_count);
    CHECK(schema.fields[schema_find(&schema, STR("value"))].nullable);
    CHECK_EQ(schema.fields[schema.count - 2].type, COLUMN_BINARY);
    CHECK_STR(schema.fields[schema.count - 2].name, STR("histogram"));
    CHECK_EQ(schema.fields[schema.count - 1].type, COLUMN_TIMESTAMP);
    CHECK_STR(schema.fields[schema.count - 1].name, STR("start_timestamp"));
    CHECK_EQ(label_count, 0);
    metrics_hot_free(hot);
}

TEST(metrics_extra, the_last_write_wins_whatever_its_kind)
{
    Frames frames;
    MetricsHot *hot = hot_new(&frames, NULL);
    const MetricsExtra blob = {.start_ms = INT64_MIN, .histogram = bytes_of("one")};
    const MetricsExtra other = {.start_ms = NOW_MS, .histogram = bytes_of("two")};
    (void)put(t, hot, NOW_MS, 1, NULL);
    (void)put(t, hot, NOW_MS, 0, &blob); // over a float, at once
    (void)put(t, hot, NOW_MS + 1, 0, &blob);
    (void)put(t, hot, NOW_MS + 1, 2, NULL); // over a histogram
    (void)put(t, hot, NOW_MS + 2, 3, NULL);
    (void)put(t, hot, NOW_MS, 0, &other); // late
    (void)put(t, hot, NOW_MS + 2, 0, &other);
    (void)put(t, hot, NOW_MS + 1, 4, NULL);
    for (int way = 0; way < 2; way++) {
        const Rows got = read_rows(t, hot, way == 0);
        CHECK_EQ(got.count, 3);
        CHECK_STR(got.rows[0].blob, STR("two"));
        CHECK(got.rows[0].has_start && !got.rows[0].has_value);
        CHECK(got.rows[1].has_value && got.rows[1].bits == bits_of(4));
        CHECK(got.rows[1].blob.ptr == NULL && !got.rows[1].has_start);
        CHECK_STR(got.rows[2].blob, STR("two"));
        mem_free(got.rows);
    }
    metrics_hot_free(hot);
    buf_deinit(&frames.payload);
}

TEST(metrics_extra, memory_is_accounted_and_given_back)
{
    enum { COUNT = 100, BLOB = 10000 };
    MetricsHot *hot = hot_new(NULL, NULL);
    uint8_t *blob = mem_new(uint8_t, BLOB);
    const MetricsExtra extra = {.start_ms = INT64_MIN, .histogram = {blob, BLOB}};
    const uint64_t before = metrics_hot_bytes(hot);
    for (int64_t i = 0; i < COUNT; i++) {
        (void)put(t, hot, NOW_MS + i, 0, &extra);
    }
    CHECK(metrics_hot_bytes(hot) - before >= COUNT * BLOB);
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        MetricsWindow *window = metrics_hot_seal(hot, i);
        MetricsWindowInfo info;
        if (window != NULL) {
            metrics_window_info(window, &info);
            CHECK_EQ(info.histogram_count, COUNT);
            CHECK_EQ(info.start_count, 0);
            CHECK(info.record_bytes >= COUNT * BLOB && info.size_bytes >= info.record_bytes);
            metrics_window_unref(window);
        }
    }
    CHECK(metrics_hot_bytes(hot) - before < 1 << 16);
    mem_free(blob);
    metrics_hot_free(hot);
}

TEST(metrics_extra, batches_and_frames_hold_only_so_many_bytes)
{
    enum { COUNT = 100 };
    Frames frames;
    MetricsHot *hot = hot_new(&frames, NULL);
    uint8_t *blob = mem_new(uint8_t, HISTOGRAM_BLOB_BYTES_MAX);
    const MetricsSeries series = {.labels = up, .sample_count = COUNT};
    int64_t ms[COUNT];
    double values[COUNT] = {0};
    MetricsExtra extras[COUNT];
    MetricsResult result;
    uint64_t sequence;
    Err err;
    for (size_t i = 0; i < COUNT; i++) {
        ms[i] = NOW_MS + (int64_t)i;
        extras[i] = (MetricsExtra){.start_ms = INT64_MIN,
                                   .histogram = {blob, HISTOGRAM_BLOB_BYTES_MAX - i}};
    }
    frames.again = hot_new(NULL, NULL);
    const MetricsBatch batch = {&series, 1, ms, values, extras};
    CHECK_OK(metrics_hot_append(hot, &batch, &result, &sequence, &err));
    CHECK_EQ(result.histograms_written, COUNT);
    CHECK(frames.count > 10 && frames.bytes_max <= WAL_FRAME_BYTES_MAX);
    CHECK_EQ(frames.figures.samples, COUNT);
    for (int way = 0; way < 3; way++) {
        const Rows got = read_rows(t, way < 2 ? hot : frames.again, way != 1);
        CHECK_EQ(got.count, COUNT);
        CHECK(got.batch_bytes_max <= METRICS_RUN_BLOB_BYTES + HISTOGRAM_BLOB_BYTES_MAX);
        CHECK(way != 1 || got.batch_bytes_max < METRICS_RUN_BLOB_BYTES);
        for (size_t i = 0; i < COUNT; i++) {
            CHECK(got.rows[i].ms == ms[i] && got.rows[i].blob.len == extras[i].histogram.len);
        }
        mem_free(got.rows);
        arena_reset(&t->arena);
    }
    mem_free(blob);
    metrics_hot_free(frames.again);
    metrics_hot_free(hot);
    buf_deinit(&frames.payload);
}

// --- what is not ---------------------------------------------------------------------------------

TEST(metrics_extra, rejects_what_cannot_be_kept)
{
    static const Field taken[] = {{{"histogram", 9}, COLUMN_STRING, true},
                                  {{"Start_Timestamp", 15}, COLUMN_STRING, true}};
    const Schema schema = {.fields = taken, .count = ARRAY_LEN(taken)};
    uint8_t *large = mem_new(uint8_t, HISTOGRAM_BLOB_BYTES_MAX + 1);
    const MetricsExtra early = {.start_ms = METRICS_TIMESTAMP_MIN_MS - 1};
    const MetricsExtra late = {.start_ms = METRICS_TIMESTAMP_MAX_MS + 1};
    const MetricsExtra big = {.start_ms = INT64_MIN,
                              .histogram = {large, HISTOGRAM_BLOB_BYTES_MAX + 1}};
    const MetricsExtra small = {.start_ms = NOW_MS, .histogram = bytes_of("x")};
    const MetricsExtra start = {.start_ms = NOW_MS};
    const struct {
        const Schema *schema;
        const MetricsExtra *extra;
        const char *says; // NULL: taken
    } cases[] = {
        {NULL, &early, "start timestamp -62135596800001 ms is not in the years 0001 to 9999"},
        {NULL, &late, "start timestamp 253402300800000 ms is not in the years 0001 to 9999"},
        {NULL, &big, "a histogram of 1048577 bytes, more than 1048576"},
        {NULL, &small, NULL},
        {&schema, &small, "histograms cannot be kept: the table has another column 'histogram'"},
        {&schema, &start, NULL}, // without its start
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        MetricsHot *hot = hot_new(NULL, cases[i].schema);
        const MetricsResult result = put(t, hot, NOW_MS, 1, cases[i].extra);
        CHECK_EQ(result.samples_written, cases[i].says == NULL);
        CHECK_EQ(result.samples_rejected, cases[i].says != NULL);
        if (cases[i].says != NULL) {
            CHECK(strstr(result.first_rejection.msg, cases[i].says) != NULL);
            CHECK(strstr(result.first_rejection.msg, "series 0 of the request, up: ") != NULL);
        }
        CHECK(cases[i].schema == NULL || !has_column(t, hot, "start_timestamp"));
        metrics_hot_free(hot);
    }
    mem_free(large);
}

// --- frames --------------------------------------------------------------------------------------

// A frame of one series with one sample at NOW_MS, whose value is `bits` and then `rest`.
static Bytes frame(Test *t, uint8_t version, uint64_t bits, Str rest)
{
    Buf out;
    buf_init(&out, 0);
    buf_put_u8(&out, version);
    buf_put_u64le(&out, 7);
    varint_put_u64(&out, 1);                                            // series 0, labels follow
    varint_put_u64(&out, (version & 0x7f) == 1 ? up.len : up.len << 1); // no difference
    buf_put(&out, up.ptr, up.len);
    varint_put_i64(&out, NOW_MS);
    buf_put_u64le(&out, bits);
    buf_put_str(&out, rest);
    const Str copy = arena_str(&t->arena, buf_str(&out));
    buf_deinit(&out);
    return (Bytes){(const uint8_t *)copy.ptr, copy.len};
}

static Status replay(MetricsHot *hot, uint32_t shard, Bytes payload, MetricsReplay *figures)
{
    Err err;
    return metrics_hot_replay(hot, shard, 1, payload, figures, &err);
}

static uint32_t shard_of_up(Test *t)
{
    Frames frames;
    MetricsHot *hot = hot_new(&frames, NULL);
    (void)put(t, hot, NOW_MS, 1, NULL);
    const uint32_t shard = frames.shard;
    metrics_hot_free(hot);
    buf_deinit(&frames.payload);
    return shard;
}

TEST(metrics_extra, frames_of_floats_are_as_they_were)
{
    Frames frames;
    MetricsHot *hot = hot_new(&frames, NULL);
    (void)put(t, hot, NOW_MS, 1, &(MetricsExtra){.start_ms = INT64_MIN});
    Bytes want = frame(t, 2, UINT64_C(0x3ff0000000000000), STR(""));
    memcpy((uint8_t *)(uintptr_t)want.ptr + 1, frames.payload.ptr + 1, 8); // the window's id
    CHECK_EQ(frames.payload.len, want.len);
    CHECK(memcmp(frames.payload.ptr, want.ptr, want.len) == 0);
    metrics_hot_free(hot);
    // A value in an old frame is a value, whatever its bits.
    MetricsHot *old = hot_new(NULL, NULL);
    MetricsReplay figures = {0};
    const uint64_t odd = UINT64_C(0xfffc000100000003);
    CHECK_EQ(replay(old, frames.shard, frame(t, 1, odd, STR("")), &figures), OK);
    const Rows got = read_rows(t, old, true);
    CHECK_EQ(got.count, 1);
    CHECK(got.rows[0].has_value && got.rows[0].bits == odd);
    mem_free(got.rows);
    metrics_hot_free(old);
    buf_deinit(&frames.payload);
}

TEST(metrics_extra, frames_are_checked)
{
    const uint64_t mark = UINT64_C(0xfffc) << 48;
    const uint64_t start = UINT64_C(1) << 32;
    const uint32_t shard = shard_of_up(t);
    char *large = arena_new(&t->arena, char, HISTOGRAM_BLOB_BYTES_MAX + 1);
    const struct {
        uint8_t version;
        uint64_t bits;
        Str rest;
        Status status;
    } cases[] = {
        {0x81, mark | 3, STR("abc"), OK},
        {0x81, mark | start | 3,
         STR("\x02"
             "abc"),
         OK},
        {0x81, mark | start,
         STR("\x02"
             "12345678"),
         OK},
        {0x81, mark, STR("12345678"), OK},
        {0x81, mark | 3, STR("ab"), ERR_CORRUPT},
        {0x81, mark | start | 3, STR("abc"), ERR_CORRUPT}, // the start eats one of them
        {0x81, mark, STR("1234567"), ERR_CORRUPT},
        {0x81, mark | start, STR(""), ERR_CORRUPT},
        {0x81, mark | start << 1 | 3, STR("abc"), ERR_CORRUPT}, // a bit that means nothing
        {0x81, mark | HISTOGRAM_BLOB_BYTES_MAX, {large, HISTOGRAM_BLOB_BYTES_MAX}, OK},
        {0x81,
         mark | (HISTOGRAM_BLOB_BYTES_MAX + 1),
         {large, HISTOGRAM_BLOB_BYTES_MAX + 1},
         ERR_CORRUPT},
        {0x81, mark | start | 1,
         STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
             "a"),
         ERR_CORRUPT},
        {0x82, mark | 3, STR("abc"), OK},
        {0x83, 0, STR(""), ERR_CORRUPT},
        {0x01, mark | 3, STR("abc"), ERR_CORRUPT}, // a value, and then a bad entry
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        MetricsHot *hot = hot_new(NULL, NULL);
        MetricsReplay figures = {0};
        const Bytes payload = frame(t, cases[i].version, cases[i].bits, cases[i].rest);
        CHECK_EQ(replay(hot, shard, payload, &figures), cases[i].status);
        for (size_t len = 0; len < payload.len && len < 100; len++) { // nor does a cut do harm
            (void)replay(hot, shard, (Bytes){payload.ptr, len}, &figures);
        }
        const Rows got = read_rows(t, hot, true);
        mem_free(got.rows);
        metrics_hot_free(hot);
    }
}
