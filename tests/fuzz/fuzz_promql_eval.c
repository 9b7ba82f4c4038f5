// SPDX-License-Identifier: Apache-2.0
//
// Evaluates expressions over a small fixed store, with small limits. The first byte says how:
//   bit 0   a range query, else an instant one
//   bit 1   the rest is decisions for a generator of expressions, else it is the expression
// Oracles: whether it fails, the type, and the labels of the result are the same whether every
// pruning step is on or off, and with the samples in memory or in files; results keep their
// promises (order, times on the grid, no point twice).
#include "promql/engine.h"
#include "tests/promql/script.h"
#include "tests/promql/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    EXPR_BYTES_MAX = 600,
    DEPTH_MAX = 5,
    SAMPLES_MAX = 3000,
    MEMORY_MAX_BYTES = 64 << 20,
    STEP_MS = 60000,
    START_MS = 300000,
    END_MS = 900000,
    TIMEOUT_MS = 5000,
};

// --- the generator -------------------------------------------------------------------------------

typedef struct Gen {
    const uint8_t *pos, *end;
    Buf *out;
    int depth;
} Gen;

static uint32_t pick(Gen *g, uint32_t n)
{
    return g->pos == g->end ? 0 : *g->pos++ % n;
}

static void put(Gen *g, const char *text)
{
    buf_put(g->out, text, strlen(text));
}

#define PUT_ONE_OF(g, list) put((g), (list)[pick((g), ARRAY_LEN(list))])

static void put_expr(Gen *g);

static void put_number(Gen *g)
{
    static const char *const numbers[] = {"0",   "1",    "2",   "-1",  "0.5",  "3",  "NaN",
                                          "Inf", "-Inf", "1e9", "100", "-2.5", "1m", "1e300"};
    PUT_ONE_OF(g, numbers);
}

static void put_duration(Gen *g)
{
    static const char *const durations[] = {"1m", "5m",  "30s",      "2m30s",      "7s",
                                            "1h", "1ms", "(1m+30s)", "(step()*2)", "90"};
    PUT_ONE_OF(g, durations);
}

static void put_time(Gen *g)
{
    static const char *const times[] = {
        "",       "",           "",         "",     " offset 1m", " offset -3m",
        " @ 400", " @ start()", " @ end()", " @ 0", " offset 1h"};
    PUT_ONE_OF(g, times);
}

static void put_selector(Gen *g)
{
    static const char *const selectors[] = {"c_total",
                                            "g",
                                            "h",
                                            "cb",
                                            "mixed",
                                            "nan",
                                            "gap",
                                            "none",
                                            "{i=\"1\"}",
                                            "{__name__=~\"c.*|g\"}",
                                            "c_total{i!=\"1\"}",
                                            "lat_bucket",
                                            "g{i=~\"[12]\"}",
                                            "target_info"};
    PUT_ONE_OF(g, selectors);
}

static void put_range(Gen *g)
{
    const uint32_t kind = pick(g, 4);
    if (kind == 0) {
        put(g, "(");
        put_expr(g);
        put(g, ")[");
        put_duration(g);
        put(g, ":");
        if (pick(g, 2) == 0) {
            put_duration(g);
        }
        put(g, "]");
    } else {
        put_selector(g);
        put(g, "[");
        put_duration(g);
        put(g, "]");
        put(g, kind == 1 ? " anchored" : kind == 2 ? " smoothed" : "");
    }
    put_time(g);
}

static void put_grouping(Gen *g)
{
    static const char *const groupings[] = {
        "", "", " by (i)", " without (i)", " by ()", " by (__name__, le)", " without (le, j)"};
    PUT_ONE_OF(g, groupings);
}

static void put_aggregate(Gen *g)
{
    static const char *const plain[] = {"sum", "avg",   "count",  "min",
                                        "max", "group", "stddev", "stdvar"};
    static const char *const with_param[] = {
        "topk(2, ",   "bottomk(1, ",       "quantile(0.5, ",           "count_values(\"v\", ",
        "limitk(2, ", "limit_ratio(0.5, ", "topk(scalar(g{i=\"1\"}), "};
    if (pick(g, 2) == 0) {
        PUT_ONE_OF(g, plain);
        put_grouping(g);
        put(g, " (");
    } else {
        PUT_ONE_OF(g, with_param);
    }
    put_expr(g);
    put(g, ")");
}

// The function's name and arguments, by what its table says it takes.
static void put_call(Gen *g)
{
    static uint32_t functions;
    while (functions == 0 || promql_function_at(functions) != NULL) {
        functions++;
    }
    const PromqlFunction *function = promql_function_at(pick(g, functions));
    put(g, function->name);
    put(g, "(");
    for (uint32_t i = 0; i < function->arg_count; i++) {
        put(g, i == 0 ? "" : ", ");
        switch (function->args[i]) {
        case PROMQL_SCALAR:
            put_number(g);
            break;
        case PROMQL_MATRIX:
            put_range(g);
            break;
        case PROMQL_STRING: {
            static const char *const strings[] = {"\"i\"", "\"$1\"", "\"(.*)\"", "\"j\"", "\"\""};
            PUT_ONE_OF(g, strings);
            break;
        }
        case PROMQL_VECTOR:
        case PROMQL_NONE:
            put_expr(g);
            break;
        }
    }
    put(g, ")");
}

static void put_binary(Gen *g)
{
    static const char *const ops[] = {" + ",     " - ",  " * ",   " / ",       " % ",
                                      " ^ ",     " == ", " != ",  " < ",       " > ",
                                      " <= ",    " >= ", " and ", " or ",      " unless ",
                                      " atan2 ", " </ ", " >/ ",  " == bool ", " > bool "};
    static const char *const matchings[] = {"",
                                            "",
                                            "",
                                            "on(i) ",
                                            "ignoring(i) ",
                                            "on() group_left ",
                                            "on(i) group_right(le) ",
                                            "ignoring(le) group_left ",
                                            "fill(0) "};
    put(g, "(");
    put_expr(g);
    PUT_ONE_OF(g, ops);
    PUT_ONE_OF(g, matchings);
    put_expr(g);
    put(g, ")");
}

static void put_expr(Gen *g)
{
    if (g->depth == DEPTH_MAX || g->out->len > EXPR_BYTES_MAX) {
        put_selector(g);
        return;
    }
    g->depth++;
    switch (pick(g, 8)) {
    case 0:
        put_selector(g);
        put_time(g);
        break;
    case 1:
        put_number(g);
        break;
    case 2:
    case 3:
        put_aggregate(g);
        break;
    case 4:
    case 5:
        put_call(g);
        break;
    case 6:
        put_binary(g);
        break;
    default:
        put(g, pick(g, 2) == 0 ? "-" : "");
        put_selector(g);
        put_time(g);
        break;
    }
    g->depth--;
}

// --- the store -----------------------------------------------------------------------------------

static const char SAMPLES[] =
    "load_with_nhcb 1m\n"
    "  c_total{i=\"1\"} 0+10x15\n"
    "  c_total{i=\"2\"} 0+3x5 2+4x9\n"
    "  c_total@st -1mx9\n"
    "  c_total 1x9\n"
    "  g{i=\"1\"} 1 5 2 8 3 9 4 7 1 5 2 8\n"
    "  g{i=\"2\", j=\"x\"} -1 -2 3 4x9\n"
    "  gap{i=\"1\"} 1 _ _ 4 stale _ _ 8 9 _ _ 12\n"
    "  nan{i=\"1\"} 1 NaN Inf -Inf 5 0 -0 1e300 -1e300 NaN 2\n"
    "  h{i=\"1\"} {{schema:0 count:4 sum:9 z_bucket:1 z_bucket_w:0.01 buckets:[1 2] n_buckets:[0 "
    "1]}}"
    "+{{schema:0 count:4 sum:9 z_bucket:1 z_bucket_w:0.01 buckets:[1 2] n_buckets:[0 1]}}x12\n"
    "  h{i=\"2\"} {{schema:2 count:3 sum:2 offset:-5 buckets:[1 2]}}x5 {{schema:2 count:1 sum:1 "
    "buckets:[1]}}x8\n"
    "  cb{i=\"1\"} {{schema:-53 count:6 sum:9 custom_values:[1 2 5] buckets:[1 2 2 1]}}x12\n"
    "  cb{i=\"2\"} {{schema:-53 count:6 sum:9 custom_values:[1 5 9] buckets:[1 2 2 1]}}x12\n"
    "  mixed{i=\"1\"} 1 2 {{schema:0 count:1 sum:1 buckets:[1]}} 4 {{count:2 buckets:[2]}} 5 6x6\n"
    "  lat_bucket{le=\"1\"} 0+1x12\n"
    "  lat_bucket{le=\"5\"} 0+4x12\n"
    "  lat_bucket{le=\"+Inf\"} 0+5x12\n"
    "  target_info{i=\"1\", version=\"v1\"} 1x12\n";

typedef struct Place {
    World *world;
    PromqlEngine *engine;
} Place;

static Place open_place(WorldPlace where, QueryWatch *watch)
{
    Arena arena = {0};
    Script script;
    Place place = {0};
    Err err;
    ASSERT(world_open(where, &place.world, &err) == OK);
    ASSERT(script_parse((Str){SAMPLES, sizeof(SAMPLES) - 1}, &arena, &script, &err) == OK);
    ASSERT(world_load(place.world, &script.commands[0].load, &err) == OK);
    ASSERT(world_settle(place.world, &err) == OK);
    arena_deinit(&arena);
    place.engine = promql_engine_new(&(PromqlOptions){.store = world_store(place.world),
                                                      .watch = watch,
                                                      .os = os_posix(),
                                                      .features = {.experimental_functions = true,
                                                                   .duration_expressions = true,
                                                                   .extended_range_selectors = true,
                                                                   .binop_fill_modifiers = true,
                                                                   .delayed_name_removal = true,
                                                                   .use_start_timestamps = true},
                                                      .samples_max = SAMPLES_MAX,
                                                      .memory_max_bytes = MEMORY_MAX_BYTES,
                                                      .threads = 2,
                                                      .timeout_ms = TIMEOUT_MS});
    return place;
}

// --- the checks ----------------------------------------------------------------------------------

static int compare_text(Str a, Str b)
{
    const size_t least = a.len < b.len ? a.len : b.len;
    const int order = least == 0 ? 0 : memcmp(a.ptr, b.ptr, least);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_labels(const LabelSet *a, const LabelSet *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        int order = compare_text(a->labels[i].name, b->labels[i].name);
        order = order != 0 ? order : compare_text(a->labels[i].value, b->labels[i].value);
        if (order != 0) {
            return order;
        }
    }
    return (a->count > b->count) - (a->count < b->count);
}

static void check_series(const PromqlQuery *query, const PromqlResult *result, size_t at)
{
    const PromqlResultSeries *series = &result->series[at];
    ASSERT(series->count != 0);
    ASSERT(result->type == PROMQL_MATRIX || series->count == 1);
    for (size_t i = 1; i < series->labels.count; i++) {
        ASSERT(compare_text(series->labels.labels[i - 1].name, series->labels.labels[i].name) < 0);
    }
    for (size_t i = 0; i < series->count; i++) {
        ASSERT(i == 0 || series->points[i - 1].time_ms < series->points[i].time_ms);
        ASSERT(!query->is_range || (series->points[i].time_ms >= query->start_ms &&
                                    series->points[i].time_ms <= query->end_ms &&
                                    series->points[i].time_ms % query->step_ms == 0));
    }
    if (result->type == PROMQL_MATRIX && at != 0) {
        ASSERT(compare_labels(&result->series[at - 1].labels, &series->labels) < 0);
    }
}

typedef struct Outcome {
    Status status;
    PromqlType type;
    size_t count, points;
} Outcome;

static Outcome run(const Place *place, PromqlQuery query, bool no_pruning)
{
    PromqlResult *result = NULL;
    PromqlFailure failure = PROMQL_INTERNAL;
    Err err;
    Outcome out = {0};
    query.no_pruning = no_pruning;
    out.status = promql_run(place->engine, &query, &result, &failure, &err);
    if (out.status != OK) {
        ASSERT(failure != PROMQL_INTERNAL && err.msg[0] != '\0');
        return out;
    }
    ASSERT(!query.is_range || result->type == PROMQL_MATRIX);
    out.type = result->type;
    out.count = result->count;
    for (size_t i = 0; i < result->count; i++) {
        check_series(&query, result, i);
        out.points += result->series[i].count;
    }
    promql_result_free(result);
    return out;
}

static bool limits_hit(Outcome a)
{
    return a.status == ERR_LIMIT || a.status == ERR_TIMEOUT || a.status == ERR_CANCELLED;
}

// Sums of floats depend on the order of series, which storage does not promise; so where values
// decide what stays, results may differ in their points, but not in whether there is one.
static void check_same(Outcome a, Outcome b)
{
    if (limits_hit(a) || limits_hit(b)) {
        return;
    }
    ASSERT((a.status == OK) == (b.status == OK));
    ASSERT(a.type == b.type);
    ASSERT((a.count == 0) == (b.count == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Place hot, cold;
    Buf text = {0};
    Err err;
    if (hot.engine == NULL) {
        QueryWatch *watch = NULL;
        ASSERT(query_watch_new(os_posix(), &watch, &err) == OK);
        hot = open_place(WORLD_HOT, watch);
        cold = open_place(WORLD_PARQUET, watch);
    }
    if (size < 2 || size > 4096) {
        return 0;
    }
    if ((data[0] & 2) != 0) {
        Gen gen = {.pos = data + 1, .end = data + size, .out = &text};
        put_expr(&gen);
    } else {
        buf_put(&text, data + 1, size - 1);
    }
    PromqlQuery query = {.text = buf_str(&text), .start_ms = END_MS, .end_ms = END_MS};
    if ((data[0] & 1) != 0) {
        query.is_range = true;
        query.start_ms = START_MS;
        query.step_ms = STEP_MS;
    }
    const Outcome first = run(&hot, query, false);
    check_same(first, run(&hot, query, true));
    check_same(first, run(&cold, query, false));
    buf_deinit(&text);
    return 0;
}
