// SPDX-License-Identifier: Apache-2.0
//
// info(): labels of info metrics (target_info, build_info, ...) added to the series that have the
// same instance and job. Which info series speaks for a step may change from one to the next: the
// one with the newest sample does.
#include "promql/eval_internal.h"

enum {
    INFO_NAMES_MAX = 1000,            // of different info metrics
    INFO_PRUNE_BYTES_MAX = 32 * 1024, // of a regular expression that only saves reading
};

static const Str identifying[] = {{"instance", 8}, {"job", 3}};

typedef struct Family { // the info series of one name, instance and job
    LabelSet key;
    uint32_t name;    // which of the names
    int32_t *speaker; // by step: index in `infos`, or -1
} Family;

typedef struct Info {
    Eval *eval;
    const PromqlGrid *grid;
    const PlanNode *node;
    PlanTime time; // at which info series are looked at
    PromqlMatrix base, infos;
    bool *ignored;         // by base series: it is one of the info series itself
    const Matcher **names; // matchers of the name
    size_t name_matcher_count;
    const Matcher **data; // of other labels
    size_t data_count;
    const Matcher *made[4]; // the query's
    size_t made_count;
    bool wanted[2]; // by identifying label: values in `values` are those that matter
    EvalGroups values[2];

    EvalGroups keys; // of families, by name, instance, job
    Family *families;
    size_t families_cap;
    Str *info_names;
    size_t info_name_count, info_names_cap;
} Info;

// --- which info series ---------------------------------------------------------------------------

// The first selector below `node` says when: its @, or that of the innermost subquery around it.
static bool find_time(const PlanNode *node, PlanTime *time)
{
    switch (node->kind) {
    case PLAN_NUMBER:
    case PLAN_TEXT:
        return false;
    case PLAN_SELECT:
        *time = node->u.select.time;
        return true;
    case PLAN_SUBQUERY:
        if (!find_time(node->u.subquery.expr, time)) {
            return false;
        }
        if (!time->has_at) {
            time->offset_ms += node->u.subquery.time.offset_ms;
            time->has_at = node->u.subquery.time.has_at;
            time->at_ms = node->u.subquery.time.at_ms;
        }
        return true;
    case PLAN_CALL:
        for (size_t i = 0; i < node->u.call.arg_count; i++) {
            if (find_time(node->u.call.args[i], time)) {
                return true;
            }
        }
        return false;
    case PLAN_AGGREGATE:
        return find_time(node->u.aggregate.expr, time) ||
               (node->u.aggregate.param != NULL && find_time(node->u.aggregate.param, time));
    case PLAN_BINARY:
        return find_time(node->u.binary.left, time) || find_time(node->u.binary.right, time);
    case PLAN_NEGATE:
    case PLAN_INVARIANT:
        return find_time(node->u.child, time);
    }
    UNREACHABLE();
}

static void free_matcher(void *matcher)
{
    matcher_free(matcher);
}

// Scans use it until the query ends.
static Status add_matcher(Info *info, MatchOp op, Str name, Str value, Err *err)
{
    Matcher *matcher = NULL;
    TRY(matcher_new(op, name, value, &matcher, err));
    ASSERT(info->made_count < ARRAY_LEN(info->made));
    info->made[info->made_count++] = matcher;
    eval_keep(info->eval, free_matcher, matcher);
    return OK;
}

// Of the second argument. Without a name that is asked for it is target_info; with names that are
// only excluded, every other metric that ends in _info.
static Status find_matchers(Info *info, Err *err)
{
    const Str name = STR("__name__");
    const bool has = info->node->u.call.arg_count > 1;
    const PlanSelect *select = has ? &plan_inner(info->node->u.call.args[1])->u.select : NULL;
    const size_t count = has ? select->matcher_count : 0;
    bool positive = false;
    info->names = arena_new(&info->eval->arena, const Matcher *, count + 1);
    info->data = arena_new(&info->eval->arena, const Matcher *, count);
    for (size_t i = 0; i < count; i++) {
        const Matcher *m = select->matchers[i];
        if (!str_eq(matcher_name(m), name)) {
            info->data[info->data_count++] = m;
            continue;
        }
        positive |= matcher_op(m) == MATCH_EQ || matcher_op(m) == MATCH_RE;
        info->names[info->name_matcher_count++] = m;
    }
    if (positive) {
        return OK;
    }
    TRY(info->name_matcher_count == 0 ? add_matcher(info, MATCH_EQ, name, STR("target_info"), err)
                                      : add_matcher(info, MATCH_RE, name, STR(".+_info"), err));
    info->names[info->name_matcher_count++] = info->made[info->made_count - 1];
    return OK;
}

static bool is_info(const Info *info, const LabelSet *labels)
{
    const Str name = labels_get(labels, STR("__name__"));
    for (size_t i = 0; i < info->name_matcher_count; i++) {
        if (!matcher_matches(info->names[i], name)) {
            return false;
        }
    }
    return true;
}

// The values of instance and job among the series that are to be enriched.
static bool find_values(Info *info)
{
    Arena *arena = &info->eval->arena;
    info->ignored = arena_new(arena, bool, info->base.count);
    for (size_t l = 0; l < ARRAY_LEN(identifying); l++) {
        const EvalGrouping by = {.names = &identifying[l], .count = 1};
        eval_groups_init(&info->values[l], &by, arena);
    }
    for (size_t i = 0; i < info->base.count; i++) {
        const LabelSet *labels = &info->base.series[i].labels;
        info->ignored[i] = is_info(info, labels);
        for (size_t l = 0; !info->ignored[i] && l < ARRAY_LEN(identifying); l++) {
            if (labels_get(labels, identifying[l]).len != 0) {
                (void)eval_groups_find(&info->values[l], labels, arena);
                info->wanted[l] = true;
            }
        }
    }
    return info->wanted[0] || info->wanted[1];
}

static void quote_regex(Str text, Buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("\\.+*?()|[]{}^$", text.ptr[i]) != NULL) {
            buf_put_u8(out, '\\');
        }
        buf_put_u8(out, (uint8_t)text.ptr[i]);
    }
}

// Few values are looked for; of many, all are read and those that are not wanted left out.
static Status prune_by_values(Info *info, size_t label, Err *err)
{
    Buf regex;
    buf_init(&regex, INFO_PRUNE_BYTES_MAX);
    const EvalGroups *values = &info->values[label];
    for (size_t i = 0; i < values->count; i++) {
        if (i != 0) {
            buf_put_u8(&regex, '|');
        }
        quote_regex(values->labels[i].labels[0].value, &regex);
    }
    const Status st = buf_ok(&regex) && values->count != 0
                          ? add_matcher(info, MATCH_RE, identifying[label], buf_str(&regex), err)
                          : OK;
    buf_deinit(&regex);
    return st;
}

static bool is_wanted(const Info *info, const LabelSet *labels)
{
    for (size_t l = 0; l < ARRAY_LEN(identifying); l++) {
        size_t at = 0;
        if (info->wanted[l] && (labels_get(labels, identifying[l]).len == 0 ||
                                !eval_groups_get(&info->values[l], labels, &at))) {
            return false;
        }
    }
    return true;
}

static Status read_infos(Info *info, Err *err)
{
    const size_t first = info->made_count;
    for (size_t l = 0; l < ARRAY_LEN(identifying); l++) {
        if (info->wanted[l]) {
            TRY(prune_by_values(info, l, err));
        }
    }
    const size_t count = info->name_matcher_count + info->data_count + info->made_count - first;
    const Matcher **all = arena_new(&info->eval->arena, const Matcher *, count);
    size_t n = 0;
    for (size_t i = 0; i < info->name_matcher_count; i++) {
        all[n++] = info->names[i];
    }
    for (size_t i = 0; i < info->data_count; i++) {
        all[n++] = info->data[i];
    }
    for (size_t i = first; i < info->made_count; i++) {
        all[n++] = info->made[i];
    }
    const PlanSelect select = {
        .matchers = all, .matcher_count = n, .time = info->time, .all_labels = true};
    EvalPipe *pipe = eval_pipe_select(info->eval, &select, EVAL_PICK_MS, info->grid);
    TRY(eval_pipe_collect(pipe, &info->infos, err));
    const uint64_t all_samples = eval_samples_of(&info->infos, info->grid->steps);
    size_t kept = 0;
    for (size_t i = 0; i < info->infos.count; i++) {
        if (is_wanted(info, &info->infos.series[i].labels)) {
            info->infos.series[kept++] = info->infos.series[i];
        }
    }
    info->infos.count = kept;
    eval_samples_drop(info->eval, all_samples - eval_samples_of(&info->infos, info->grid->steps));
    return OK;
}

// --- families ------------------------------------------------------------------------------------

static Status find_name(Info *info, Str name, uint32_t *out, Err *err)
{
    for (*out = 0; *out < info->info_name_count; ++*out) {
        if (str_eq(info->info_names[*out], name)) {
            return OK;
        }
    }
    if (info->info_name_count == INFO_NAMES_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d info metrics", INFO_NAMES_MAX);
    }
    info->info_names = mem_grow(info->info_names, &info->info_names_cap, *out + (size_t)1,
                                sizeof(*info->info_names));
    info->info_names[info->info_name_count++] = name;
    return OK;
}

static Status conflict(const PromqlSeries *a, const PromqlSeries *b, uint32_t step, Err *err)
{
    Buf texts[2];
    const PromqlSeries *series[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        buf_init(&texts[i], 0);
        eval_labels_print(&series[i]->labels, &texts[i]);
    }
    const Status st = err_set(err, ERR_INVALID,
                              "found duplicate series for info metric: existing " STR_FMT
                              " @ %" PRId64 ", new " STR_FMT " @ %" PRId64,
                              STR_ARG(buf_str(&texts[0])), (int64_t)a->values[step],
                              STR_ARG(buf_str(&texts[1])), (int64_t)b->values[step]);
    for (size_t i = 0; i < 2; i++) {
        buf_deinit(&texts[i]);
    }
    return st;
}

static Status join_family(Info *info, Family *family, size_t index, const uint64_t *active,
                          Err *err)
{
    const PromqlSeries *series = &info->infos.series[index];
    for (uint32_t step = 0; step < info->grid->steps; step++) {
        if (!eval_has(series->present, step) || !eval_has(active, step)) {
            continue;
        }
        const int32_t now = family->speaker[step];
        const PromqlSeries *other = now < 0 ? NULL : &info->infos.series[now];
        if (other != NULL && other->values[step] == series->values[step]) {
            return conflict(other, series, step, err);
        }
        if (other == NULL || other->values[step] < series->values[step]) {
            family->speaker[step] = (int32_t)index;
        }
    }
    return OK;
}

static Status make_families(Info *info, Err *err)
{
    static const Str names[] = {{"__name__", 8}, {"instance", 8}, {"job", 3}};
    Arena *arena = &info->eval->arena;
    const EvalGrouping by = {.names = names, .count = ARRAY_LEN(names)};
    uint64_t *active = arena_new(arena, uint64_t, eval_words(info->grid->steps));
    eval_groups_init(&info->keys, &by, arena);
    for (size_t i = 0; i < info->base.count; i++) {
        for (size_t word = 0; word < eval_words(info->grid->steps); word++) {
            active[word] |= info->base.series[i].present[word];
        }
    }
    for (size_t i = 0; i < info->infos.count; i++) {
        const LabelSet *labels = &info->infos.series[i].labels;
        const size_t before = info->keys.count;
        const size_t at = eval_groups_find(&info->keys, labels, arena);
        if (at == before) {
            info->families = mem_grow(info->families, &info->families_cap, at + 1, sizeof(Family));
            Family *f = &info->families[at];
            f->speaker = arena_new(arena, int32_t, info->grid->steps);
            memset(f->speaker, 0xff, info->grid->steps * sizeof(int32_t)); // -1
            TRY(find_name(info, labels_get(labels, STR("__name__")), &f->name, err));
        }
        TRY(join_family(info, &info->families[at], i, active, err));
    }
    return OK;
}

// --- enriching -----------------------------------------------------------------------------------

static bool is_data_label(const Info *info, Str name)
{
    for (size_t i = 0; i < info->data_count; i++) {
        if (str_eq(matcher_name(info->data[i]), name)) {
            return true;
        }
    }
    return info->data_count == 0;
}

static bool data_may_be_empty(const Info *info)
{
    for (size_t i = 0; i < info->data_count; i++) {
        if (!matcher_matches(info->data[i], STR(""))) {
            return false;
        }
    }
    return true;
}

// Adds the labels of an info series to `added`, but for those the base has.
static Status add_labels(const Info *info, const LabelSet *base, const LabelSet *from,
                         LabelSet *added, Err *err)
{
    for (size_t i = 0; i < from->count; i++) {
        const Label *l = &from->labels[i];
        if (str_eq(l->name, STR("__name__")) || !is_data_label(info, l->name)) {
            continue;
        }
        const Str other = labels_get(added, l->name);
        if (other.len != 0 && !str_eq(other, l->value)) {
            return err_set(err, ERR_INVALID, "conflicting label: " STR_FMT, STR_ARG(l->name));
        }
        if (labels_get(base, l->name).len == 0) {
            *added = eval_labels_with(added, l->name, l->value, &info->eval->arena);
        }
    }
    return OK;
}

typedef struct Enriched { // one base series
    const PromqlSeries *base;
    const Family **families; // by info name; NULL: none
    int32_t *speakers;       // of the step before
    PromqlSeries *now;       // what samples go to; NULL: they are left out
} Enriched;

static Status enrich(Info *info, Enriched *e, uint32_t step, PromqlSeries **result, Err *err)
{
    LabelSet labels = e->base->labels;
    LabelSet added = {0};
    bool any = false;
    for (size_t i = 0; i < info->info_name_count; i++) {
        const int32_t speaker = e->families[i] == NULL ? -1 : e->families[i]->speaker[step];
        if (speaker >= 0) {
            any = true;
            TRY(add_labels(info, &labels, &info->infos.series[speaker].labels, &added, err));
        }
    }
    *result = NULL;
    if (!any && !data_may_be_empty(info)) {
        return OK;
    }
    for (size_t i = 0; i < added.count; i++) {
        labels = eval_labels_with(&labels, added.labels[i].name, added.labels[i].value,
                                  &info->eval->arena);
    }
    *result = arena_new(&info->eval->arena, PromqlSeries, 1);
    **result = eval_series_new(&info->eval->arena, info->grid->steps, e->base->histograms != NULL);
    (*result)->labels = labels;
    (*result)->drop_name = e->base->drop_name;
    return OK;
}

static bool speakers_changed(const Info *info, Enriched *e, uint32_t step)
{
    bool changed = false;
    for (size_t i = 0; i < info->info_name_count; i++) {
        const int32_t speaker = e->families[i] == NULL ? -1 : e->families[i]->speaker[step];
        changed |= speaker != e->speakers[i];
        e->speakers[i] = speaker;
    }
    return changed;
}

typedef struct SeriesList {
    PromqlSeries **items;
    size_t count, cap;
} SeriesList;

static void keep(SeriesList *list, PromqlSeries *series)
{
    list->items = mem_grow(list->items, &list->cap, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = series;
}

static void find_families(Info *info, Enriched *e)
{
    Arena *arena = &info->eval->arena;
    static const Str id[] = {{"instance", 8}, {"job", 3}};
    e->families = arena_new(arena, const Family *, info->info_name_count);
    e->speakers = arena_new(arena, int32_t, info->info_name_count);
    Label room[2];
    const LabelSet own = eval_labels_pick(&e->base->labels, id, ARRAY_LEN(id), false, room);
    for (size_t i = 0; i < info->info_name_count; i++) {
        const LabelSet key = eval_labels_with(&own, STR("__name__"), info->info_names[i], arena);
        size_t at = 0;
        e->families[i] = eval_groups_get(&info->keys, &key, &at) ? &info->families[at] : NULL;
    }
}

static Status enrich_series(Info *info, const PromqlSeries *base, SeriesList *list, Err *err)
{
    Enriched e = {.base = base};
    bool first = true;
    find_families(info, &e);
    for (uint32_t step = 0; step < info->grid->steps; step++) {
        if (!eval_has(base->present, step)) {
            continue;
        }
        if (speakers_changed(info, &e, step) || first) {
            first = false;
            TRY(enrich(info, &e, step, &e.now, err));
            if (e.now != NULL) {
                keep(list, e.now);
            }
        }
        if (e.now != NULL) {
            eval_set(e.now->present, step);
            e.now->values[step] = base->values[step];
            if (e.now->histograms != NULL) {
                e.now->histograms[step] = eval_histogram(base, step);
            }
        }
    }
    return OK;
}

static Status combine(Info *info, PromqlMatrix *out, Err *err)
{
    SeriesList list = {0};
    Status st = OK;
    for (size_t i = 0; i < info->base.count; i++) {
        TRY_OUT(eval_check(info->eval, err));
        if (info->ignored[i]) {
            keep(&list, &info->base.series[i]);
        } else {
            TRY_OUT(enrich_series(info, &info->base.series[i], &list, err));
        }
        TRY_OUT(eval_charge(info->eval, &info->eval->arena, &info->eval->arena_charged_bytes, err));
    }
    out->series = arena_new(&info->eval->arena, PromqlSeries, list.count);
    for (size_t i = 0; i < list.count; i++) {
        out->series[out->count++] = *list.items[i];
    }
    st = eval_matrix_merge(info->eval, out, info->grid->steps, EVAL_MERGE, err);
out:
    mem_free(list.items);
    return st;
}

Status eval_info(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                 Err *err)
{
    Info info = {.eval = eval, .node = node, .grid = grid};
    Status st = OK;
    (void)find_time(node->u.call.args[0], &info.time);
    TRY_OUT(eval_node(eval, node->u.call.args[0], grid, &info.base, err));
    const uint64_t before = eval_samples_of(&info.base, grid->steps);
    TRY_OUT(find_matchers(&info, err));
    if (find_values(&info)) {
        TRY_OUT(read_infos(&info, err));
    }
    TRY_OUT(make_families(&info, err));
    TRY_OUT(combine(&info, out, err));
    eval_samples_drop(eval, before + eval_samples_of(&info.infos, grid->steps));
    TRY_OUT(eval_samples_add(eval, eval_samples_of(out, grid->steps), err));
out:
    mem_free(info.families);
    mem_free(info.info_names);
    eval_groups_deinit(&info.keys);
    eval_groups_deinit(&info.values[0]);
    eval_groups_deinit(&info.values[1]);
    return st;
}
