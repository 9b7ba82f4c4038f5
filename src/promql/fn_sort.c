// SPDX-License-Identifier: Apache-2.0
//
// sort(), sort_desc(), sort_by_label(), sort_by_label_desc(): of an instant query. Of a range query
// the order is that of labels whatever these do.
#include "base/mem.h"
#include "base/num.h"
#include "promql/fn_internal.h"

#include <math.h>

enum { INSERTION_MAX = 12 };

typedef struct Order {
    int (*compare)(const struct Order *order, const PromqlSeries *a, const PromqlSeries *b);
    const PromqlMatrix *args;
    size_t arg_count;
    int sign; // -1: descending
} Order;

static void insertion_sort(const Order *order, PromqlSeries *list, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t k = i; k > 0 && order->compare(order, &list[k], &list[k - 1]) < 0; k--) {
            const PromqlSeries moved = list[k];
            list[k] = list[k - 1];
            list[k - 1] = moved;
        }
    }
}

// Stable. Short lists are sorted as Go's slices.SortFunc does: natural order of labels is no strict
// order, so its result depends on the algorithm.
static void sort_series(const Order *order, PromqlSeries *list, size_t count)
{
    if (count <= INSERTION_MAX) {
        insertion_sort(order, list, count);
        return;
    }
    PromqlSeries *from = list;
    PromqlSeries *to = mem_new(PromqlSeries, count);
    PromqlSeries *const spare = to;
    for (size_t i = 0; i < count; i += INSERTION_MAX) {
        insertion_sort(order, list + i, count - i < INSERTION_MAX ? count - i : INSERTION_MAX);
    }
    for (size_t width = INSERTION_MAX; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            const size_t middle = start + width < count ? start + width : count;
            const size_t end = start + 2 * width < count ? start + 2 * width : count;
            size_t a = start;
            size_t b = middle;
            for (size_t i = start; i < end; i++) {
                const bool left =
                    b == end || (a < middle && order->compare(order, &from[b], &from[a]) >= 0);
                to[i] = left ? from[a++] : from[b++];
            }
        }
        PromqlSeries *const next = from;
        from = to;
        to = next;
    }
    if (from != list) {
        memcpy(list, from, count * sizeof(*list));
    }
    mem_free(spare);
}

// NaN comes last either way.
static int compare_value(const Order *order, const PromqlSeries *a, const PromqlSeries *b)
{
    const double x = a->values[0];
    const double y = b->values[0];
    if (isnan(x) || isnan(y)) {
        return isnan(x) - isnan(y);
    }
    return order->sign * ((x > y) - (x < y));
}

static bool has_floats(const PromqlSeries *s, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        if (fn_has_float(s, i)) {
            return true;
        }
    }
    return false;
}

// Without the histograms, which have no order.
static PromqlSeries only_floats(const PromqlSeries *in, uint32_t steps, Arena *arena)
{
    PromqlSeries s = *in;
    if (in->histograms == NULL) {
        return s;
    }
    s.histograms = NULL;
    s.present = arena_new(arena, uint64_t, steps / 64 + 1);
    for (uint32_t i = 0; i < steps; i++) {
        if (fn_has_float(in, i)) {
            fn_set_present(&s, i);
        }
    }
    return s;
}

static Status sort_values(const PromqlCall *call, const PromqlGrid *grid, const PromqlMatrix *args,
                          int sign, PromqlMatrix *out)
{
    const Order order = {.compare = compare_value, .sign = sign};
    PromqlSeries *list = arena_new(call->arena, PromqlSeries, args[0].count);
    *out = (PromqlMatrix){.type = PROMQL_VECTOR, .series = list};
    for (size_t i = 0; i < args[0].count; i++) {
        if (has_floats(&args[0].series[i], grid->steps)) {
            list[out->count++] = only_floats(&args[0].series[i], grid->steps, call->arena);
        }
    }
    if (grid->steps == 1) {
        sort_series(&order, list, out->count);
    }
    return OK;
}

FN_MATRIX(sort)
{
    (void)err;
    return sort_values(call, grid, args, 1, out);
}

FN_MATRIX(sort_desc)
{
    (void)err;
    return sort_values(call, grid, args, -1, out);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// The next run of digits or of anything else.
static Str next_chunk(Str *rest)
{
    size_t len = 0;
    while (len < rest->len && is_digit(rest->ptr[len]) == is_digit(rest->ptr[0])) {
        len++;
    }
    const Str chunk = str_slice(*rest, 0, len);
    *rest = str_slice(*rest, len, rest->len);
    return chunk;
}

static int compare_text(Str a, Str b)
{
    const size_t common = a.len < b.len ? a.len : b.len;
    const int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_number(Str chunk, int64_t *out)
{
    return is_digit(chunk.ptr[0]) && num_parse_i64(chunk, out);
}

bool fn_sort_natural_less(Str a, Str b)
{
    while (a.len > 0) {
        int64_t x = 0;
        int64_t y = 0;
        if (b.len == 0) {
            return false;
        }
        const Str chunk_a = next_chunk(&a);
        const Str chunk_b = next_chunk(&b);
        const bool numbers = is_number(chunk_a, &x) && is_number(chunk_b, &y);
        if (numbers ? x != y : !str_eq(chunk_a, chunk_b)) {
            return numbers ? x < y : compare_text(chunk_a, chunk_b) < 0;
        }
        if (a.len == 0) {
            return true;
        }
    }
    return false;
}

// labels.Compare of Prometheus: names and values in turn.
static int compare_sets(const LabelSet *a, const LabelSet *b)
{
    const size_t common = a->count < b->count ? a->count : b->count;
    for (size_t i = 0; i < common; i++) {
        const int name = compare_text(a->labels[i].name, b->labels[i].name);
        const int value = compare_text(a->labels[i].value, b->labels[i].value);
        if (name != 0 || value != 0) {
            return name != 0 ? name : value;
        }
    }
    return (a->count > b->count) - (a->count < b->count);
}

static int compare_labels(const Order *order, const PromqlSeries *a, const PromqlSeries *b)
{
    for (size_t i = 1; i < order->arg_count; i++) {
        const Str x = labels_get(&a->labels, order->args[i].text);
        const Str y = labels_get(&b->labels, order->args[i].text);
        if (!str_eq(x, y)) {
            return fn_sort_natural_less(x, y) ? -order->sign : order->sign;
        }
    }
    return order->sign * compare_sets(&a->labels, &b->labels);
}

static Status sort_labels(const PromqlCall *call, const PromqlGrid *grid, const PromqlMatrix *args,
                          int sign, PromqlMatrix *out)
{
    const Order order = {
        .compare = compare_labels,
        .args = args,
        .arg_count = call->node->u.call.arg_count,
        .sign = sign,
    };
    PromqlSeries *list = arena_new(call->arena, PromqlSeries, args[0].count);
    if (args[0].count != 0) {
        memcpy(list, args[0].series, args[0].count * sizeof(*list));
    }
    *out = (PromqlMatrix){.type = PROMQL_VECTOR, .series = list, .count = args[0].count};
    if (grid->steps == 1) {
        sort_series(&order, list, out->count);
    }
    return OK;
}

FN_MATRIX(sort_by_label)
{
    (void)err;
    return sort_labels(call, grid, args, 1, out);
}

FN_MATRIX(sort_by_label_desc)
{
    (void)err;
    return sort_labels(call, grid, args, -1, out);
}
