// SPDX-License-Identifier: Apache-2.0
//
// The shapes are those of web/api/v1 and util/jsonutil of Prometheus.
#include "promql/result_json.h"

#include "base/json_put.h"
#include "base/mem.h"
#include "base/num.h"
#include "codec/dtoa.h"

#include <stdlib.h>

struct PromqlJson {
    const PromqlResult *result;
    size_t series_count; // after the limit
    PromqlStatsWanted stats;
    bool begun;
    size_t series; // the next one
};

PromqlJson *promql_json_new(const PromqlResult *result, size_t limit, PromqlStatsWanted stats)
{
    PromqlJson *json = mem_new(PromqlJson, 1);
    json->result = result;
    json->series_count = limit != 0 && result->count > limit ? limit : result->count;
    json->stats = stats;
    return json;
}

void promql_json_free(PromqlJson *json)
{
    mem_free(json);
}

// --- small parts -------------------------------------------------------------------------------

void promql_json_labels(LabelSet labels, Buf *out)
{
    buf_put_u8(out, '{');
    for (size_t i = 0; i < labels.count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        json_put_string(out, labels.labels[i].name);
        buf_put_u8(out, ':');
        json_put_string(out, labels.labels[i].value);
    }
    buf_put_u8(out, '}');
}

void promql_json_time(int64_t ms, Buf *out)
{
    const int64_t seconds = ms / 1000;
    const int64_t rest = llabs(ms % 1000);
    if (ms < 0 && seconds == 0) {
        buf_put_u8(out, '-');
    }
    num_put_i64(out, seconds);
    if (rest != 0) {
        const uint8_t text[4] = {'.', (uint8_t)('0' + rest / 100), (uint8_t)('0' + rest / 10 % 10),
                                 (uint8_t)('0' + rest % 10)};
        buf_put(out, text, sizeof(text));
    }
}

void promql_json_strings(const Str *items, size_t count, Buf *out)
{
    buf_put_u8(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        json_put_string(out, items[i]);
    }
    buf_put_u8(out, ']');
}

static void put_value(double v, Buf *out)
{
    uint8_t *to = buf_reserve(out, DTOA_BYTES_MAX + 2);
    to[0] = '"';
    const size_t len = dtoa_f64(v, DTOA_PROM, (char *)to + 1);
    to[len + 1] = '"';
    buf_commit(out, len + 2);
}

static void put_point(const PromqlPoint *p, Buf *out)
{
    buf_put_u8(out, '[');
    promql_json_time(p->time_ms, out);
    buf_put_u8(out, ',');
    if (p->histogram != NULL) {
        histogram_format_json(p->histogram, out);
    } else {
        put_value(p->value, out);
    }
    buf_put_u8(out, ']');
}

// --- statistics --------------------------------------------------------------------------------

static void put_seconds(const char *name, int64_t ns, Buf *out)
{
    buf_putf(out, "%s\":", name);
    dtoa_put_f64(out, (double)ns / 1e9, DTOA_JSON);
}

static void put_stats(const PromqlJson *json, Buf *out)
{
    const PromqlStats *s = &json->result->stats;
    buf_put_str(out, STR(",\"stats\":{\"timings\":{"));
    put_seconds("\"evalTotalTime", s->prepare_ns + s->eval_ns, out);
    put_seconds(",\"resultSortTime", s->sort_ns, out);
    put_seconds(",\"queryPreparationTime", s->prepare_ns, out);
    put_seconds(",\"innerEvalTime", s->eval_ns, out);
    put_seconds(",\"execQueueTime", s->queue_ns, out);
    put_seconds(",\"execTotalTime", s->total_ns, out);
    buf_putf(out, "},\"samples\":{\"totalQueryableSamples\":%" PRIu64 ",\"peakSamples\":%" PRIu64,
             s->total_samples, s->peak_samples);
    if (json->stats == PROMQL_STATS_ALL && s->samples_per_step != NULL) {
        buf_put_str(out, STR(",\"totalQueryableSamplesPerStep\":["));
        for (uint32_t i = 0; i < s->steps; i++) {
            buf_put_str(out, i > 0 ? STR(",[") : STR("["));
            promql_json_time(s->start_ms + (int64_t)i * s->step_ms, out);
            buf_putf(out, ",%" PRIu64 "]", s->samples_per_step[i]);
        }
        buf_put_u8(out, ']');
    }
    buf_put_str(out, STR("}}"));
}

// --- values ------------------------------------------------------------------------------------

static void put_points(const PromqlResultSeries *s, bool histograms, Buf *out)
{
    char before = '[';
    for (size_t i = 0; i < s->count; i++) {
        if ((s->points[i].histogram != NULL) == histograms) {
            buf_put_u8(out, (uint8_t)before);
            put_point(&s->points[i], out);
            before = ',';
        }
    }
    buf_put_u8(out, ']');
}

// Floats and histograms of a series stand in lists of their own.
static void put_matrix_series(const PromqlResultSeries *s, Buf *out)
{
    size_t histograms = 0;
    for (size_t i = 0; i < s->count; i++) {
        histograms += s->points[i].histogram != NULL;
    }
    if (histograms < s->count) {
        buf_put_str(out, STR(",\"values\":"));
        put_points(s, false, out);
    }
    if (histograms > 0) {
        buf_put_str(out, STR(",\"histograms\":"));
        put_points(s, true, out);
    }
}

static void put_series(const PromqlJson *json, size_t i, Buf *out)
{
    const PromqlResultSeries *s = &json->result->series[i];
    buf_put_str(out, i > 0 ? STR(",{\"metric\":") : STR("{\"metric\":"));
    promql_json_labels(s->labels, out);
    if (json->result->type == PROMQL_MATRIX) {
        put_matrix_series(s, out);
    } else {
        buf_put_str(out,
                    s->points->histogram != NULL ? STR(",\"histogram\":") : STR(",\"value\":"));
        put_point(s->points, out);
    }
    buf_put_u8(out, '}');
}

static void put_single(const PromqlResult *result, Buf *out)
{
    if (result->type == PROMQL_STRING) {
        buf_put_u8(out, '[');
        promql_json_time(result->scalar.time_ms, out);
        buf_put_u8(out, ',');
        json_put_string(out, result->text);
        buf_put_u8(out, ']');
    } else {
        put_point(&result->scalar, out);
    }
}

bool promql_json_next(PromqlJson *json, size_t bytes, Buf *out)
{
    static const char *const types[] = {[PROMQL_SCALAR] = "scalar",
                                        [PROMQL_VECTOR] = "vector",
                                        [PROMQL_MATRIX] = "matrix",
                                        [PROMQL_STRING] = "string",
                                        [PROMQL_NONE] = "none"};
    const PromqlResult *result = json->result;
    const bool is_list = result->type == PROMQL_VECTOR || result->type == PROMQL_MATRIX;
    const size_t start = out->len;
    if (!json->begun) {
        buf_putf(out, "{\"resultType\":\"%s\",\"result\":%s", types[result->type],
                 is_list ? "[" : "");
        json->begun = true;
    }
    while (is_list && json->series < json->series_count && out->len - start < bytes) {
        put_series(json, json->series++, out);
    }
    if (is_list && json->series < json->series_count) {
        return false;
    }
    if (is_list) {
        buf_put_u8(out, ']');
    } else {
        put_single(result, out);
    }
    if (json->stats != PROMQL_STATS_NONE) {
        put_stats(json, out);
    }
    buf_put_u8(out, '}');
    return true;
}
