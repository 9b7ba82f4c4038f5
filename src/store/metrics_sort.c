// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_sort_internal.h"

#include "base/mem.h"

enum {
    INSERTION_MAX = 32, // items
    DIGIT_BITS = 8,
    DIGITS = 1 << DIGIT_BITS,
};

static void insertion_sort(MetricsSortItem *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const MetricsSortItem item = items[i];
        size_t k = i;
        for (; k > 0 && items[k - 1].key > item.key; k--) {
            items[k] = items[k - 1];
        }
        items[k] = item;
    }
}

// One pass of a least-significant-digit radix sort: stable by the digit at `shift`.
static void radix_pass(const MetricsSortItem *from, MetricsSortItem *to, size_t count,
                       unsigned shift)
{
    size_t starts[DIGITS] = {0};
    for (size_t i = 0; i < count; i++) {
        starts[(from[i].key >> shift) & (DIGITS - 1)]++;
    }
    size_t sum = 0;
    for (size_t d = 0; d < DIGITS; d++) {
        const size_t n = starts[d];
        starts[d] = sum;
        sum += n;
    }
    for (size_t i = 0; i < count; i++) {
        to[starts[(from[i].key >> shift) & (DIGITS - 1)]++] = from[i];
    }
}

void metrics_sort_items(MetricsSortItem *items, MetricsSortItem *spare, size_t count)
{
    if (count <= INSERTION_MAX) {
        insertion_sort(items, count);
        return;
    }
    uint64_t differ = 0; // bits in which not all keys are the same
    bool sorted = true;
    for (size_t i = 1; i < count; i++) {
        differ |= items[i].key ^ items[0].key;
        sorted = sorted && items[i - 1].key <= items[i].key;
    }
    MetricsSortItem *from = items;
    MetricsSortItem *to = spare;
    for (unsigned shift = 0; shift < 64 && !sorted; shift += DIGIT_BITS) {
        if (((differ >> shift) & (DIGITS - 1)) != 0) {
            radix_pass(from, to, count, shift);
            MetricsSortItem *swap = from;
            from = to;
            to = swap;
        }
    }
    if (from != items) {
        memcpy(items, from, count * sizeof(*items));
    }
}

// --- texts ---------------------------------------------------------------------------------------

typedef struct Range { // of items whose texts agree in the first `depth` bytes
    size_t from, to;
    size_t depth;
} Range;

typedef struct RangeStack {
    Range *ranges;
    size_t count, cap;
} RangeStack;

static void push(RangeStack *stack, size_t from, size_t to, size_t depth)
{
    if (to - from > 1) {
        stack->ranges =
            mem_grow(stack->ranges, &stack->cap, stack->count + 1, sizeof(*stack->ranges));
        stack->ranges[stack->count++] = (Range){from, to, depth};
    }
}

static int compare_from(Str a, Str b, size_t depth)
{
    const size_t shorter = a.len < b.len ? a.len : b.len;
    const int order = shorter <= depth ? 0 : memcmp(a.ptr + depth, b.ptr + depth, shorter - depth);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static void insertion_sort_texts(MetricsSortItem *items, size_t count, size_t depth,
                                 const MetricsSortTexts *texts)
{
    for (size_t i = 1; i < count; i++) {
        const MetricsSortItem item = items[i];
        const Str text = texts->text(texts->ctx, item.id);
        size_t k = i;
        for (; k > 0 && compare_from(texts->text(texts->ctx, items[k - 1].id), text, depth) > 0;
             k--) {
            items[k] = items[k - 1];
        }
        items[k] = item;
    }
}

// How many bytes from `depth` on all texts have in common.
static size_t common_len(const MetricsSortItem *items, size_t count, size_t depth,
                         const MetricsSortTexts *texts)
{
    const Str first = texts->text(texts->ctx, items[0].id);
    size_t common = first.len - depth;
    for (size_t i = 1; i < count && common != 0; i++) {
        const Str text = texts->text(texts->ctx, items[i].id);
        const size_t max = text.len - depth < common ? text.len - depth : common;
        size_t n = 0;
        while (n < max && text.ptr[depth + n] == first.ptr[depth + n]) {
            n++;
        }
        common = n;
    }
    return common;
}

// Items with equal keys at `depth`: those that end within the key differ only in how many zero
// bytes they end with, so their order is that of their lengths, and before those that go on.
static void split_equal(MetricsSortItem *items, MetricsSortItem *spare, size_t from, size_t to,
                        size_t depth, const MetricsSortTexts *texts, RangeStack *stack)
{
    for (size_t i = from; i < to; i++) {
        const size_t left = texts->text(texts->ctx, items[i].id).len - depth;
        items[i].key = left <= 8 ? left : 9;
    }
    metrics_sort_items(items + from, spare, to - from);
    size_t longer = from;
    while (longer < to && items[longer].key <= 8) {
        longer++;
    }
    push(stack, longer, to, depth + 8);
}

static void sort_range(MetricsSortItem *items, MetricsSortItem *spare, Range range, bool keyed,
                       const MetricsSortTexts *texts, RangeStack *stack)
{
    const size_t count = range.to - range.from;
    if (!keyed) {
        if (count <= INSERTION_MAX) {
            insertion_sort_texts(items + range.from, count, range.depth, texts);
            return;
        }
        range.depth += common_len(items + range.from, count, range.depth, texts);
        for (size_t i = range.from; i < range.to; i++) {
            items[i].key = metrics_sort_key(texts->text(texts->ctx, items[i].id), range.depth);
        }
    }
    metrics_sort_items(items + range.from, spare, count);
    for (size_t i = range.from; i < range.to;) {
        size_t end = i + 1;
        while (end < range.to && items[end].key == items[i].key) {
            end++;
        }
        if (end - i > 1) {
            split_equal(items, spare, i, end, range.depth, texts, stack);
        }
        i = end;
    }
}

void metrics_sort_texts(MetricsSortItem *items, MetricsSortItem *spare, size_t count,
                        const MetricsSortTexts *texts)
{
    RangeStack stack = {0};
    bool keyed = texts->keyed;
    push(&stack, 0, count, keyed ? texts->skip : 0);
    while (stack.count != 0) {
        const Range range = stack.ranges[--stack.count];
        sort_range(items, spare, range, keyed, texts, &stack);
        keyed = false;
    }
    mem_free(stack.ranges);
}
