// SPDX-License-Identifier: Apache-2.0
//
// What is stored, without its values: series, label names, label values.
#include "base/json_put.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "query/series_scan.h"
#include "server/prom_internal.h"

#include <stdlib.h>

enum {
    PROM_MATCHES_MAX = 256,          // match[] of one request
    PROM_ANSWER_BYTES_MAX = 1 << 30, // memory of one answer's label sets
    CANCEL_CHECK_SERIES = 1024,
};

// match[] selectors, one scan each, over start..end.
typedef struct SeriesQuery {
    PromArgs args;
    PromqlExpr **selectors;
    SeriesSelect *selects; // of the selectors; without any one that selects every series
    size_t count;
    size_t limit;
    Snapshot *snapshot; // NULL: nothing was ever stored
    Arena arena;
} SeriesQuery;

static void query_deinit(SeriesQuery *q)
{
    snapshot_close(q->snapshot);
    for (size_t i = 0; q->selectors != NULL && i < q->count; i++) {
        promql_expr_free(q->selectors[i]);
    }
    prom_args_deinit(&q->args);
    arena_deinit(&q->arena);
}

// A selector that the empty label set meets would select everything.
static bool is_selective(const PromqlNode *selector)
{
    for (size_t i = 0; i < selector->u.selector.matcher_count; i++) {
        if (!matcher_matches(selector->u.selector.matchers[i], STR(""))) {
            return true;
        }
    }
    return false;
}

static Status take_selectors(SeriesQuery *q, const SeriesSelect *base, Err *err)
{
    Str text = {0};
    size_t at = 0;
    q->selectors = arena_new(&q->arena, PromqlExpr *, PROM_MATCHES_MAX);
    q->selects = arena_new(&q->arena, SeriesSelect, PROM_MATCHES_MAX);
    while (prom_arg_next(&q->args, STR("match[]"), &at, &text)) {
        if (q->count == PROM_MATCHES_MAX) {
            return err_set(err, ERR_INVALID, "more than %d match[] parameters", PROM_MATCHES_MAX);
        }
        q->selectors[q->count] = NULL;
        if (promql_parse_selector(text, &q->selectors[q->count], err) != OK) {
            return err_prefix(err, "invalid parameter \"match[]\": ");
        }
        const PromqlNode *root = promql_expr_root(q->selectors[q->count]);
        if (!is_selective(root)) {
            q->count++;
            return err_set(err, ERR_INVALID, "match[] must contain at least one non-empty matcher");
        }
        q->selects[q->count] = *base;
        q->selects[q->count].matchers = root->u.selector.matchers;
        q->selects[q->count].matcher_count = root->u.selector.matcher_count;
        q->count++;
    }
    return OK;
}

static Status query_take(Server *server, const HttpRequest *request, SeriesQuery *q, Err *err)
{
    SeriesSelect base = {.no_samples = true, .all_labels = true};
    *q = (SeriesQuery){0};
    arena_init(&q->arena, PROM_ANSWER_BYTES_MAX);
    TRY(prom_args_take(request, &q->args, err));
    TRY(prom_arg_limit(&q->args, &q->limit, err));
    TRY(prom_arg_time(&q->args, STR("start"), PROM_TIME_MIN_MS, &base.min_ms, err));
    TRY(prom_arg_time(&q->args, STR("end"), PROM_TIME_MAX_MS, &base.max_ms, err));
    TRY(take_selectors(q, &base, err));
    if (q->count == 0) {
        q->selectors = NULL;
        q->selects[q->count++] = base;
    }
    if (snapshot_open(server->store, STR("metrics"), &q->snapshot, err) == ERR_NOT_FOUND) {
        q->snapshot = NULL;
        return OK;
    }
    return q->snapshot != NULL ? OK : err->status;
}

// --- series ------------------------------------------------------------------------------------

typedef struct SeriesList {
    LabelSet *items;
    size_t count, cap;
} SeriesList;

static void list_add(SeriesList *list, LabelSet labels, Arena *arena)
{
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 256 : 2 * list->cap;
        list->items = mem_realloc(list->items, list->cap, sizeof(LabelSet));
    }
    Label *copy = arena_new(arena, Label, labels.count);
    for (size_t i = 0; i < labels.count; i++) {
        copy[i] = (Label){arena_str(arena, labels.labels[i].name),
                          arena_str(arena, labels.labels[i].value)};
    }
    list->items[list->count++] = (LabelSet){copy, labels.count};
}

static Status collect(const SeriesQuery *q, const SeriesSelect *select, const HttpRequest *request,
                      SeriesList *list, Arena *arena, Err *err)
{
    Status st = OK;
    SeriesScan *scan = NULL;
    SeriesWorker *worker = NULL;
    SeriesSamples series;
    bool found = true;
    TRY_OUT(series_scan_open(q->snapshot, select, &scan, err));
    TRY_OUT(series_worker_open(scan, &worker, err));
    for (size_t i = 0; found; i++) {
        TRY_OUT(series_worker_next(worker, &series, &found, err));
        if (found) {
            list_add(list, series.labels, arena);
        }
        if (i % CANCEL_CHECK_SERIES == 0 && http_request_is_cancelled(request)) {
            TRY_OUT(err_set(err, ERR_CANCELLED, "query was canceled"));
        }
        if (arena_over_budget(arena)) {
            TRY_OUT(err_set(err, ERR_LIMIT,
                            "the answer would take more than %d MiB: narrow it with match[], "
                            "start and end",
                            PROM_ANSWER_BYTES_MAX >> 20));
        }
    }
out:
    series_worker_close(worker);
    series_scan_close(scan);
    return st;
}

static int compare_labels(const void *pa, const void *pb)
{
    const LabelSet *a = pa;
    const LabelSet *b = pb;
    return labels_compare(*a, *b);
}

static void put_series(const SeriesQuery *q, SeriesList *list, HttpResponse *response)
{
    size_t shown = 0;
    PromNotes notes = {0};
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof(LabelSet), compare_labels);
    }
    prom_begin(response);
    buf_put_u8(&response->body, '[');
    for (size_t i = 0; i < list->count && !notes.truncated; i++) {
        if (i > 0 && compare_labels(&list->items[i - 1], &list->items[i]) == 0) {
            continue;
        }
        if (q->limit != 0 && shown == q->limit) {
            notes.truncated = true;
            break;
        }
        buf_put_str(&response->body, shown++ > 0 ? STR(",") : STR(""));
        promql_json_labels(list->items[i], &response->body);
    }
    buf_put_u8(&response->body, ']');
    prom_end(&response->body, &notes);
}

// What a scan of labels may fail with, as Prometheus' API says it.
static Status fail_select(HttpResponse *response, Status st, const Err *err)
{
    if (st == ERR_INVALID) {
        return st;
    }
    return prom_fail_query(response,
                           st == ERR_CANCELLED ? PROMQL_CANCELED
                           : st == ERR_LIMIT   ? PROMQL_EXECUTION
                                               : PROMQL_INTERNAL,
                           err);
}

Status server_handle_series(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    SeriesQuery q;
    SeriesList list = {0};
    Status st = query_take(ctx, request, &q, err);
    if (st == OK && q.selectors == NULL) {
        st = err_set(err, ERR_INVALID, "no match[] parameter provided");
    }
    for (size_t i = 0; st == OK && q.snapshot != NULL && i < q.count; i++) {
        st = collect(&q, &q.selects[i], request, &list, &q.arena, err);
    }
    if (st == OK) {
        put_series(&q, &list, response);
    } else {
        st = fail_select(response, st, err);
    }
    mem_free(list.items);
    query_deinit(&q);
    return st;
}

// --- label names and values --------------------------------------------------------------------

static int compare_str(const void *pa, const void *pb)
{
    const Str *a = pa;
    const Str *b = pb;
    return str_compare(*a, *b);
}

// The sorted union of several sorted lists, cut at `limit`.
static StrList unite(const StrList *lists, size_t count, size_t limit, Arena *arena)
{
    StrList out = {0};
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += lists[i].count;
        out.truncated = out.truncated || lists[i].truncated;
    }
    Str *items = arena_new(arena, Str, total);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < lists[i].count; k++) {
            items[n++] = lists[i].items[k];
        }
    }
    if (count > 1 && n > 0) {
        qsort(items, n, sizeof(Str), compare_str);
    }
    for (size_t i = 0; i < n; i++) {
        if (out.count == 0 || !str_eq(items[out.count - 1], items[i])) {
            items[out.count++] = items[i];
        }
    }
    if (limit != 0 && out.count > limit) {
        out.count = limit;
        out.truncated = true;
    }
    out.items = items;
    return out;
}

// Names of labels, or values of `label` when it has a name.
static Status answer_list(Server *server, Str label, const HttpRequest *request,
                          HttpResponse *response, Err *err)
{
    SeriesQuery q;
    Status st = query_take(server, request, &q, err);
    StrList *lists = arena_new(&q.arena, StrList, PROM_MATCHES_MAX);
    size_t count = 0;
    for (; st == OK && q.snapshot != NULL && count < q.count; count++) {
        st = label.len > 0 ? series_label_values(q.snapshot, label, &q.selects[count], q.limit,
                                                 &q.arena, &lists[count], err)
                           : series_label_names(q.snapshot, &q.selects[count], q.limit, &q.arena,
                                                &lists[count], err);
    }
    if (st == OK) {
        const StrList all = unite(lists, count, q.limit, &q.arena);
        const PromNotes notes = {.truncated = all.truncated};
        prom_begin(response);
        promql_json_strings(all.items, all.count, &response->body);
        prom_end(&response->body, &notes);
    } else {
        st = fail_select(response, st, err);
    }
    query_deinit(&q);
    return st;
}

Status server_handle_labels(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    return answer_list(ctx, (Str){0}, request, response, err);
}

static bool parse_hex(Str digits, uint32_t *out)
{
    uint32_t v = 0;
    for (size_t i = 0; i < digits.len; i++) {
        const char c = digits.ptr[i];
        const uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                               : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                                                      : 16;
        if (digit == 16) {
            return false;
        }
        v = 16 * v + digit;
    }
    *out = v;
    return digits.len > 0 && digits.len <= 6;
}

// Undoes the value escaping of UTF-8 names in paths: U__http_2e_status is http.status, U__a__b is
// a_b. A name that is not well escaped stands for itself.
static Str unescape_name(Str name, Arena *arena)
{
    Buf out = {0};
    Str rest = str_slice(name, 3, name.len);
    if (!str_eq(str_slice(name, 0, 3), STR("U__"))) {
        return name;
    }
    buf_init(&out, 0);
    bool well = true;
    while (well && rest.len > 0) {
        Str digits = {0};
        uint32_t code = 0;
        uint8_t bytes[4];
        if (rest.ptr[0] != '_') {
            buf_put_u8(&out, (uint8_t)rest.ptr[0]);
            rest = str_slice(rest, 1, rest.len);
        } else if (rest.len > 1 && rest.ptr[1] == '_') {
            buf_put_u8(&out, '_');
            rest = str_slice(rest, 2, rest.len);
        } else {
            well = str_cut(str_slice(rest, 1, rest.len), '_', &digits, &rest) &&
                   parse_hex(digits, &code);
            const size_t len = well ? utf8_encode(code, bytes) : 0;
            buf_put(&out, bytes, len);
            well = len > 0;
        }
    }
    const Str plain = well ? arena_str(arena, buf_str(&out)) : name;
    buf_deinit(&out);
    return plain;
}

Status server_handle_label_values(void *ctx, const HttpRequest *request, HttpResponse *response,
                                  Err *err)
{
    Arena arena = {0};
    const Str name = unescape_name(request->param, &arena);
    Status st = OK;
    if (name.len == 0 || !utf8_is_valid(name)) {
        st = err_set(err, ERR_INVALID, "invalid label name: \"" STR_FMT "\"", STR_ARG(name));
    } else {
        st = answer_list(ctx, name, request, response, err);
    }
    arena_deinit(&arena);
    return st;
}
