// SPDX-License-Identifier: Apache-2.0
//
// /api/v1/status/* and the shapes that clients of Prometheus ask for although cardinal has nothing
// to say: targets, rules and alerts are empty until something evaluates them here.
#include "base/civil.h"
#include "base/json_put.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "os/process.h"
#include "query/series_scan.h"
#include "server/prom_internal.h"

#include <stdlib.h>

enum {
    TSDB_LIMIT_DEFAULT = 10, // entries of each list
    TSDB_LIMIT_MAX = 10000,
    TSDB_SERIES_MAX = 20 << 20, // that are looked at
};

// --- one by one --------------------------------------------------------------------------------

static Status put_buildinfo(Server *server, const PromArgs *args, Buf *out, Err *err)
{
    (void)server, (void)args, (void)err;
    buf_put_str(out, STR("{\"version\":\"" CARDINAL_VERSION "\",\"revision\":\"\",\"branch\":\"\","
                         "\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\","
                         "\"application\":\"cardinal\"}"));
    return OK;
}

static Status put_config(Server *server, const PromArgs *args, Buf *out, Err *err)
{
    Buf yaml = {0};
    (void)args, (void)err;
    buf_init(&yaml, 0);
    config_put_values(server->config, &yaml);
    buf_put_str(out, STR("{\"yaml\":"));
    json_put_string(out, buf_str(&yaml));
    buf_put_u8(out, '}');
    buf_deinit(&yaml);
    return OK;
}

static Status put_flags(Server *server, const PromArgs *args, Buf *out, Err *err)
{
    size_t count = 0;
    Buf text = {0};
    const ConfigSetting *settings = config_settings(&count);
    (void)args, (void)err;
    buf_init(&text, 0);
    buf_put_u8(out, '{');
    for (size_t i = 0; i < count; i++) {
        buf_put_u8(out, i > 0 ? ',' : ' ');
        buf_clear(&text);
        config_put_flag(&settings[i], &text);
        json_put_string(out, buf_str(&text));
        buf_put_u8(out, ':');
        buf_clear(&text);
        config_put_value(server->config, &settings[i], &text);
        json_put_string(out, buf_str(&text));
    }
    buf_put_u8(out, '}');
    buf_deinit(&text);
    return OK;
}

static Status put_runtimeinfo(Server *server, const PromArgs *args, Buf *out, Err *err)
{
    StoreFigures figures;
    (void)args, (void)err;
    store_figures(server->store, &figures);
    buf_put_str(out, STR("{\"startTime\":\""));
    civil_put_rfc3339(out, server->started_us);
    buf_put_str(out, STR("\",\"CWD\":"));
    json_put_string(out, server->config->data);
    buf_put_str(out, STR(",\"serverTime\":\""));
    civil_put_rfc3339(out, os_wall_us(server->os));
    buf_put_str(out, STR("\",\"reloadConfigSuccess\":true,\"lastConfigTime\":\""));
    civil_put_rfc3339(out, server->started_us);
    buf_putf(
        out,
        "\",\"corruptionCount\":0,\"goroutineCount\":0,\"GOMAXPROCS\":%u,\"GOMEMLIMIT\":%" PRIu64
        ",\"GOGC\":\"\",\"GODEBUG\":\"\",\"storageRetention\":\"\"}",
        (unsigned)os_cpu_count(), figures.memory_limit_bytes);
    return OK;
}

static Status put_walreplay(Server *server, const PromArgs *args, Buf *out, Err *err)
{
    StoreFigures figures;
    (void)args, (void)err;
    store_figures(server->store, &figures); // the log is replayed before the server listens
    buf_putf(out, "{\"min\":0,\"max\":%" PRIu64 ",\"current\":%" PRIu64 ",\"state\":\"done\"}",
             figures.wal_segments, figures.wal_segments);
    return OK;
}

// --- tsdb --------------------------------------------------------------------------------------

typedef struct TsdbCounts {
    StrMap metrics; // series by metric name
    StrMap names;   // distinct values by label name
    StrMap pairs;   // series by name=value
    StrMap bytes;   // of distinct values by label name
    uint64_t series;
} TsdbCounts;

static void count_series(TsdbCounts *counts, LabelSet labels, Buf *pair)
{
    counts->series++;
    for (size_t i = 0; i < labels.count; i++) {
        const Label *l = &labels.labels[i];
        bool is_new = false;
        if (str_eq(l->name, STR("__name__"))) {
            ++*strmap_put(&counts->metrics, l->value, 0, NULL);
        }
        buf_clear(pair);
        buf_put_str(pair, l->name);
        buf_put_u8(pair, '=');
        buf_put_str(pair, l->value);
        ++*strmap_put(&counts->pairs, buf_str(pair), 0, &is_new);
        *strmap_put(&counts->names, l->name, 0, NULL) += is_new;
        *strmap_put(&counts->bytes, l->name, 0, NULL) += is_new ? l->value.len : 0;
    }
}

// The series in memory, which is what Prometheus calls the head.
static Status count_head(Server *server, TsdbCounts *counts, Err *err)
{
    Status st = OK;
    Snapshot *snapshot = NULL;
    SeriesScan *scan = NULL;
    SeriesWorker *worker = NULL;
    SeriesSamples series;
    Buf pair = {0};
    bool found = true;
    const SeriesSelect select = {.min_ms = PROM_TIME_MIN_MS,
                                 .max_ms = PROM_TIME_MAX_MS,
                                 .all_labels = true,
                                 .no_samples = true,
                                 .no_cold = true};
    if (snapshot_open(server->store, STR("metrics"), &snapshot, err) == ERR_NOT_FOUND) {
        return OK;
    }
    buf_init(&pair, 0);
    TRY_OUT(snapshot != NULL ? OK : err->status);
    TRY_OUT(series_scan_open(snapshot, &select, &scan, err));
    TRY_OUT(series_worker_open(scan, &worker, err));
    while (found && counts->series < TSDB_SERIES_MAX) {
        TRY_OUT(series_worker_next(worker, &series, &found, err));
        if (found) {
            count_series(counts, series.labels, &pair);
        }
    }
out:
    buf_deinit(&pair);
    series_worker_close(worker);
    series_scan_close(scan);
    snapshot_close(snapshot);
    return st;
}

static int by_count(const void *pa, const void *pb)
{
    const StrMapEntry *a = pa;
    const StrMapEntry *b = pb;
    return a->value != b->value ? (a->value < b->value) - (a->value > b->value)
                                : str_compare(a->key, b->key);
}

static void put_top(const char *name, const StrMap *map, size_t limit, Buf *out)
{
    Arena arena = {0};
    StrMapEntry *entries = arena_new(&arena, StrMapEntry, map->count);
    if (map->count > 0) {
        memcpy(entries, map->entries, map->count * sizeof(*entries));
        qsort(entries, map->count, sizeof(*entries), by_count);
    }
    buf_putf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < map->count && i < limit; i++) {
        buf_put_str(out, i > 0 ? STR(",{\"name\":") : STR("{\"name\":"));
        json_put_string(out, entries[i].key);
        buf_putf(out, ",\"value\":%" PRIu64 "}", entries[i].value);
    }
    buf_put_u8(out, ']');
    arena_deinit(&arena);
}

static Status put_tsdb(Server *server, const PromArgs *args, Buf *out, Err *err)
{
    StoreFigures figures;
    TsdbCounts counts = {0};
    size_t limit = 0;
    TRY(prom_arg_limit(args, &limit, err));
    limit = limit == 0 ? TSDB_LIMIT_DEFAULT : limit;
    if (limit > TSDB_LIMIT_MAX) {
        return err_set(err, ERR_INVALID, "limit must not exceed %d", TSDB_LIMIT_MAX);
    }
    strmap_init(&counts.metrics);
    strmap_init(&counts.names);
    strmap_init(&counts.pairs);
    strmap_init(&counts.bytes);
    const Status st = count_head(server, &counts, err);
    store_figures(server->store, &figures);
    buf_putf(out,
             "{\"headStats\":{\"numSeries\":%" PRIu64
             ",\"numLabelPairs\":%zu,\"chunkCount\":%" PRIu64 ",\"minTime\":0,\"maxTime\":%" PRId64
             "}",
             counts.series, counts.pairs.count, figures.hot_series, os_wall_us(server->os) / 1000);
    put_top("seriesCountByMetricName", &counts.metrics, limit, out);
    put_top("labelValueCountByLabelName", &counts.names, limit, out);
    put_top("memoryInBytesByLabelName", &counts.bytes, limit, out);
    put_top("seriesCountByLabelValuePair", &counts.pairs, limit, out);
    buf_put_u8(out, '}');
    strmap_deinit(&counts.metrics);
    strmap_deinit(&counts.names);
    strmap_deinit(&counts.pairs);
    strmap_deinit(&counts.bytes);
    return st;
}

// --- all ---------------------------------------------------------------------------------------

static Status put_constant(const char *text, Buf *out)
{
    buf_put_str(out, (Str){text, strlen(text)});
    return OK;
}

static Status put_answer(Server *server, Str path, const PromArgs *args, Buf *out, Err *err)
{
    static const struct {
        const char *path;
        Status (*put)(Server *server, const PromArgs *args, Buf *out, Err *err);
        const char *constant;
    } answers[] = {
        {"/api/v1/status/buildinfo", put_buildinfo, NULL},
        {"/api/v1/status/config", put_config, NULL},
        {"/api/v1/status/flags", put_flags, NULL},
        {"/api/v1/status/runtimeinfo", put_runtimeinfo, NULL},
        {"/api/v1/status/tsdb", put_tsdb, NULL},
        {"/api/v1/status/walreplay", put_walreplay, NULL},
        {"/api/v1/targets", NULL,
         "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"},
        {"/api/v1/rules", NULL, "{\"groups\":[]}"},
        {"/api/v1/alerts", NULL, "{\"alerts\":[]}"},
        {"/api/v1/alertmanagers", NULL, "{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        if (str_eq(path, (Str){answers[i].path, strlen(answers[i].path)})) {
            return answers[i].put != NULL ? answers[i].put(server, args, out, err)
                                          : put_constant(answers[i].constant, out);
        }
    }
    return err_set(err, ERR_NOT_FOUND, "there is no " STR_FMT, STR_ARG(path));
}

Status server_handle_status(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    Status st = OK;
    PromArgs args;
    TRY_OUT(prom_args_take(request, &args, err));
    prom_begin(response);
    TRY_OUT(put_answer(ctx, request->path, &args, &response->body, err));
    prom_end(&response->body, NULL);
out:
    prom_args_deinit(&args);
    return st;
}
