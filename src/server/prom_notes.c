// SPDX-License-Identifier: Apache-2.0
//
// What senders tell beside samples: exemplars and metadata. Both are kept in memory.
#include "base/json_put.h"
#include "base/mem.h"
#include "base/num.h"
#include "codec/dtoa.h"
#include "server/prom_internal.h"

#include <stdlib.h>

// --- taking ------------------------------------------------------------------------------------

static int by_name(const void *pa, const void *pb)
{
    const Label *a = pa;
    const Label *b = pb;
    return str_compare(a->name, b->name);
}

// The labels of a series or an exemplar, sorted. False when they are malformed or too many.
static bool take_labels(Bytes wire, Label labels[static LABELS_COUNT_MAX], LabelSet *out)
{
    Err ignored;
    bool more = true;
    size_t count = 0;
    while (more) {
        Label l = {0};
        if (remote_write_label_next(&wire, &l.name, &l.value, &more, &ignored) != OK ||
            (more && count == LABELS_COUNT_MAX)) {
            return false;
        }
        if (more && l.value.len > 0) {
            labels[count++] = l;
        }
    }
    if (count > 0) {
        qsort(labels, count, sizeof(*labels), by_name);
    }
    *out = (LabelSet){labels, count};
    return true;
}

uint64_t server_take_exemplars(Server *server, const RemoteWriteRequest *in)
{
    uint64_t kept = 0;
    Label series[LABELS_COUNT_MAX];
    Label labels[LABELS_COUNT_MAX];
    for (uint32_t i = 0; i < in->exemplar_count; i++) {
        Err ignored; // a bad exemplar is counted as dropped
        const RemoteWriteExemplar *x = &in->exemplars[i];
        Exemplar exemplar = {.value = x->value, .timestamp_ms = x->timestamp_ms};
        kept += take_labels(in->series[x->series].labels, series, &exemplar.series) &&
                take_labels(x->labels, labels, &exemplar.labels) &&
                exemplars_add(server->exemplars, &exemplar, &ignored) == OK;
    }
    return kept;
}

void server_take_metadata(Server *server, const RemoteWriteRequest *in)
{
    static const Str types[] = {
        [REMOTE_WRITE_UNKNOWN] = STR("unknown"),
        [REMOTE_WRITE_COUNTER] = STR("counter"),
        [REMOTE_WRITE_GAUGE] = STR("gauge"),
        [REMOTE_WRITE_HISTOGRAM] = STR("histogram"),
        [REMOTE_WRITE_GAUGE_HISTOGRAM] = STR("gaugehistogram"),
        [REMOTE_WRITE_SUMMARY] = STR("summary"),
        [REMOTE_WRITE_INFO] = STR("info"),
        [REMOTE_WRITE_STATESET] = STR("stateset"),
    };
    for (uint32_t i = 0; i < in->metadata_count; i++) {
        const RemoteWriteMetadata *m = &in->metadata[i];
        (void)metadata_put(server->metadata, m->family,
                           (MetadataEntry){types[m->type], m->help, m->unit});
    }
}

// --- metadata ----------------------------------------------------------------------------------

static Status take_count(const PromArgs *args, Str name, int64_t *out, Err *err)
{
    const Str text = prom_arg(args, name);
    *out = -1;
    if (text.len > 0 && !num_parse_i64(text, out)) {
        return err_set(err, ERR_INVALID, STR_FMT " must be a number", STR_ARG(name));
    }
    return OK;
}

static void put_family(const MetadataFamily *family, int64_t limit, Buf *out)
{
    json_put_string(out, family->name);
    buf_put_str(out, STR(":["));
    for (size_t i = 0; i < family->count && (limit <= 0 || (int64_t)i < limit); i++) {
        const MetadataEntry *e = &family->entries[i];
        buf_put_str(out, i > 0 ? STR(",{\"type\":") : STR("{\"type\":"));
        json_put_string(out, e->type);
        buf_put_str(out, STR(",\"help\":"));
        json_put_string(out, e->help);
        buf_put_str(out, STR(",\"unit\":"));
        json_put_string(out, e->unit);
        buf_put_u8(out, '}');
    }
    buf_put_u8(out, ']');
}

Status server_handle_metadata(void *ctx, const HttpRequest *request, HttpResponse *response,
                              Err *err)
{
    Status st = OK;
    Server *server = ctx;
    PromArgs args;
    int64_t limit = 0, per_metric = 0;
    const MetadataFamily *families = NULL;
    TRY_OUT(prom_args_take(request, &args, err));
    TRY_OUT(take_count(&args, STR("limit"), &limit, err));
    TRY_OUT(take_count(&args, STR("limit_per_metric"), &per_metric, err));
    const size_t count =
        metadata_list(server->metadata, prom_arg(&args, STR("metric")), &args.arena, &families);
    prom_begin(response);
    buf_put_u8(&response->body, '{');
    for (size_t i = 0; i < count && (limit < 0 || (int64_t)i < limit); i++) {
        buf_put_str(&response->body, i > 0 ? STR(",") : STR(""));
        put_family(&families[i], per_metric, &response->body);
    }
    buf_put_u8(&response->body, '}');
    prom_end(&response->body, NULL);
out:
    prom_args_deinit(&args);
    return st;
}

// --- exemplars ---------------------------------------------------------------------------------

static void put_exemplar(const Exemplar *x, Buf *out)
{
    buf_put_str(out, STR("{\"labels\":"));
    promql_json_labels(x->labels, out);
    buf_put_str(out, STR(",\"value\":\""));
    dtoa_put_f64(out, x->value, DTOA_PROM);
    buf_put_str(out, STR("\",\"timestamp\":"));
    promql_json_time(x->timestamp_ms, out);
    buf_put_u8(out, '}');
}

static void put_exemplars(const Exemplar *list, size_t count, Buf *out)
{
    buf_put_u8(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && labels_compare(list[i - 1].series, list[i].series) == 0) {
            buf_put_u8(out, ',');
        } else {
            buf_put_str(out, i > 0 ? STR("]},{\"seriesLabels\":") : STR("{\"seriesLabels\":"));
            promql_json_labels(list[i].series, out);
            buf_put_str(out, STR(",\"exemplars\":["));
        }
        put_exemplar(&list[i], out);
    }
    buf_put_str(out, count > 0 ? STR("]}]") : STR("]"));
}

static size_t select_exemplars(Server *server, const PromqlExpr *expr, int64_t min_ms,
                               int64_t max_ms, Arena *arena, const Exemplar **out)
{
    const PromqlNode *const *nodes = NULL;
    const size_t count = promql_expr_selectors(expr, arena, &nodes);
    ExemplarSelector *selectors = arena_new(arena, ExemplarSelector, count);
    for (size_t i = 0; i < count; i++) {
        selectors[i] =
            (ExemplarSelector){nodes[i]->u.selector.matchers, nodes[i]->u.selector.matcher_count};
    }
    return exemplars_select(server->exemplars, selectors, count, min_ms, max_ms, arena, out);
}

Status server_handle_query_exemplars(void *ctx, const HttpRequest *request, HttpResponse *response,
                                     Err *err)
{
    Status st = OK;
    Server *server = ctx;
    PromArgs args;
    PromqlExpr *expr = NULL;
    const Exemplar *found = NULL;
    int64_t min_ms = 0, max_ms = 0;
    const PromqlFeatures features = promql_engine_features(server->promql);
    TRY_OUT(prom_args_take(request, &args, err));
    TRY_OUT(prom_arg_time(&args, STR("start"), PROM_TIME_MIN_MS, &min_ms, err));
    TRY_OUT(prom_arg_time(&args, STR("end"), PROM_TIME_MAX_MS, &max_ms, err));
    if (max_ms < min_ms) {
        TRY_OUT(err_set(err, ERR_INVALID, "end timestamp must not be before start timestamp"));
    }
    TRY_OUT(promql_parse(prom_arg(&args, STR("query")), &features, &expr, err));
    const size_t count = select_exemplars(server, expr, min_ms, max_ms, &args.arena, &found);
    prom_begin(response);
    put_exemplars(found, count, &response->body);
    prom_end(&response->body, NULL);
out:
    promql_expr_free(expr);
    prom_args_deinit(&args);
    return st;
}
