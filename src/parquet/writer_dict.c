// SPDX-License-Identifier: Apache-2.0
//
// The distinct values of a chunk. A pool that is a dictionary already costs one table look-up per
// run or code; only flat values are hashed. Numbers are always sorted: sorted codes and a sorted
// dictionary compress best (docs/formats/parquet.md), and smallest and largest code give smallest
// and largest value.
#include "base/mem.h"
#include "codec/hash.h"
#include "codec/minmax.h"
#include "parquet/writer_internal.h"

enum {
    TABLE_SLOTS_MIN = 1024,
    TABLE_PROBES_MAX = 256, // more means that somebody chose the values; no dictionary then
    LOOKAHEAD = 16,         // look-ups under way at once, as most of them miss the cache
};

// A slot of the hash table: the value (or for texts, its hash) is here, so that one cache miss
// decides.
typedef struct Slot {
    uint64_t key;
    uint32_t code_plus_one; // 0: free
} Slot;

// Collecting. code_of holds code + 1 until everything is known, so that 0 says "not seen".
typedef struct Collector {
    const WriterView *view;
    uint32_t *code_of;
    WriterU32s *entries;
    uint64_t value_count; // seen, repetitions included
    uint64_t plain_bytes;
    Slot *slots; // open addressing, a power of two of them
    size_t slot_count;
    bool crowded; // TABLE_PROBES_MAX was passed
} Collector;

static uint64_t load_fixed(const WriterView *view, uint32_t ref)
{
    uint64_t bits = 0; // little-endian hosts only, as everywhere
    if (view->leaf->width == 4) {
        memcpy(&bits, (const uint8_t *)view->fixed + (size_t)ref * 4, 4);
    } else {
        memcpy(&bits, (const uint8_t *)view->fixed + (size_t)ref * 8, 8);
    }
    return bits;
}

static uint64_t value_key(const WriterView *view, uint32_t ref)
{
    return view->leaf->order != WRITER_BYTES ? load_fixed(view, ref)
                                             : hash_xxh3_64(writer_view_bytes(view, ref), 0);
}

static bool text_equal(const WriterView *view, uint32_t a, uint32_t b)
{
    const Bytes x = writer_view_bytes(view, a);
    const Bytes y = writer_view_bytes(view, b);
    return x.len == y.len && (x.len == 0 || memcmp(x.ptr, y.ptr, x.len) == 0);
}

// Fibonacci hashing; the high bits are the good ones.
static size_t home_slot(const Collector *c, uint64_t key)
{
    return (size_t)((key ^ key >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (c->slot_count - 1);
}

static void table_grow(Collector *c)
{
    Slot *old = c->slots;
    const size_t old_count = c->slot_count;
    c->slot_count = old_count == 0 ? TABLE_SLOTS_MIN : old_count * 4;
    c->slots = mem_new(Slot, c->slot_count);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].code_plus_one != 0) {
            size_t at = home_slot(c, old[i].key);
            while (c->slots[at].code_plus_one != 0) {
                at = (at + 1) & (c->slot_count - 1);
            }
            c->slots[at] = old[i];
        }
    }
    mem_free(old);
}

static uint32_t new_entry(Collector *c, uint32_t ref)
{
    const uint32_t width = c->view->leaf->width;
    writer_u32s_put(c->entries, ref);
    c->plain_bytes += width != 0 ? width : 4 + writer_view_bytes(c->view, ref).len;
    return (uint32_t)c->entries->len; // code + 1
}

static uint32_t find_or_add(Collector *c, uint32_t ref, uint64_t key)
{
    const bool is_text = c->view->leaf->order == WRITER_BYTES;
    size_t at = home_slot(c, key);
    uint32_t probes = 0;
    while (c->slots[at].code_plus_one != 0) {
        const Slot *slot = &c->slots[at];
        if (slot->key == key &&
            (!is_text || text_equal(c->view, c->entries->ptr[slot->code_plus_one - 1], ref))) {
            return slot->code_plus_one;
        }
        at = (at + 1) & (c->slot_count - 1);
        c->crowded |= ++probes > TABLE_PROBES_MAX;
    }
    c->slots[at] = (Slot){.key = key, .code_plus_one = new_entry(c, ref)};
    return c->slots[at].code_plus_one;
}

static uint32_t slots_ref(const WriterSlots *s, uint32_t i)
{
    return s->form == WRITER_RANGE ? s->first + i : s->refs[i];
}

static void collect_distinct(Collector *c, const WriterSlots *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t ref = slots_ref(s, i);
        if (c->code_of[ref] == 0) {
            c->code_of[ref] = new_entry(c, ref);
        }
    }
}

static void collect_hashed(Collector *c, const WriterSlots *s, uint32_t n)
{
    for (uint32_t begin = 0; begin < n && !c->crowded; begin += LOOKAHEAD) {
        const uint32_t count = n - begin < LOOKAHEAD ? n - begin : LOOKAHEAD;
        uint64_t keys[LOOKAHEAD];
        if ((c->entries->len + LOOKAHEAD) * 2 >= c->slot_count) {
            table_grow(c);
        }
        for (uint32_t i = 0; i < count; i++) {
            keys[i] = value_key(c->view, slots_ref(s, begin + i));
            __builtin_prefetch(&c->slots[home_slot(c, keys[i])]);
        }
        for (uint32_t i = 0; i < count; i++) {
            c->code_of[slots_ref(s, begin + i)] = find_or_add(c, slots_ref(s, begin + i), keys[i]);
        }
    }
}

static void collect_page(Collector *c, const WriterSlots *s)
{
    const uint32_t n = s->form == WRITER_RANGE ? s->value_count : s->ref_count;
    if (c->view->pool_distinct) {
        collect_distinct(c, s, n);
    } else {
        collect_hashed(c, s, n);
    }
    c->value_count += s->value_count;
}

static bool is_hopeless(const Collector *c, uint32_t distinct_percent_max)
{
    return c->plain_bytes > WRITER_DICTIONARY_MAX_BYTES || c->crowded ||
           (distinct_percent_max != 0 &&
            c->entries->len * 100 > c->value_count * distinct_percent_max);
}

// ---- sorting

typedef struct SortKey {
    uint64_t prefix; // orders as the values do, as far as eight bytes go
    uint32_t ref;
    uint32_t code; // before sorting
} SortKey;

// Eight bytes of a text from `skip` on, the first the most significant.
static uint64_t text_prefix(Bytes b, size_t skip)
{
    uint64_t prefix = 0;
    if (b.len >= skip + 8) {
        memcpy(&prefix, b.ptr + skip, 8);
        return __builtin_bswap64(prefix); // little-endian hosts only, as everywhere
    }
    for (size_t i = skip; i < skip + 8; i++) {
        prefix = prefix << 8 | (i < b.len ? b.ptr[i] : 0);
    }
    return prefix;
}

static uint64_t sort_prefix(const WriterView *view, uint32_t ref, size_t skip)
{
    const uint64_t sign64 = UINT64_C(1) << 63;
    const uint64_t sign32 = UINT64_C(1) << 31;
    switch (view->leaf->order) {
    case WRITER_BOOL:
    case WRITER_U32:
    case WRITER_U64:
        return load_fixed(view, ref);
    case WRITER_I32:
        return load_fixed(view, ref) ^ sign32;
    case WRITER_I64:
        return load_fixed(view, ref) ^ sign64;
    case WRITER_F32: {
        const uint64_t bits = load_fixed(view, ref);
        return (bits & sign32) != 0 ? ~bits & UINT32_MAX : bits | sign32;
    }
    case WRITER_F64: {
        const uint64_t bits = load_fixed(view, ref);
        return (bits & sign64) != 0 ? ~bits : bits | sign64;
    }
    case WRITER_BYTES:
        return text_prefix(writer_view_bytes(view, ref), skip);
    }
    UNREACHABLE();
}

// Bytes that all texts of the dictionary begin with; they need not be compared.
static size_t common_prefix(const WriterView *view, const WriterDict *dict)
{
    if (view->leaf->order != WRITER_BYTES || dict->count == 0) {
        return 0;
    }
    const Bytes first = writer_view_bytes(view, dict->entries[0]);
    size_t common = first.len;
    for (uint32_t i = 1; i < dict->count; i++) {
        const Bytes b = writer_view_bytes(view, dict->entries[i]);
        size_t n = 0;
        while (n < common && n < b.len && b.ptr[n] == first.ptr[n]) {
            n++;
        }
        common = n;
    }
    return common;
}

static bool key_less(const WriterView *view, const SortKey *a, const SortKey *b)
{
    if (a->prefix != b->prefix || view->leaf->order != WRITER_BYTES) {
        return a->prefix < b->prefix;
    }
    const WriterValue x = {.bytes = writer_view_bytes(view, a->ref)};
    const WriterValue y = {.bytes = writer_view_bytes(view, b->ref)};
    return writer_value_compare(WRITER_BYTES, &x, &y) < 0;
}

// Radix sort by prefix, least significant byte first; bytes that all keys share are passed over.
// Returns the array, of the two, that holds the result.
static SortKey *sort_by_prefix(SortKey *keys, SortKey *other, size_t count)
{
    static const size_t digits = sizeof(uint64_t);
    uint32_t counts[sizeof(uint64_t)][256] = {{0}};
    for (size_t i = 0; i < count; i++) {
        for (size_t d = 0; d < digits; d++) {
            counts[d][keys[i].prefix >> (8 * d) & 255]++;
        }
    }
    for (size_t d = 0; d < digits && count != 0; d++) {
        if (counts[d][keys[0].prefix >> (8 * d) & 255] == count) {
            continue;
        }
        uint32_t at[256];
        uint32_t sum = 0;
        for (size_t v = 0; v < 256; v++) {
            at[v] = sum;
            sum += counts[d][v];
        }
        for (size_t i = 0; i < count; i++) {
            other[at[keys[i].prefix >> (8 * d) & 255]++] = keys[i];
        }
        SortKey *swap = keys;
        keys = other;
        other = swap;
    }
    return keys;
}

static void merge(const WriterView *view, const SortKey *in, SortKey *out, size_t mid, size_t end)
{
    size_t a = 0;
    size_t b = mid;
    for (size_t i = 0; i < end; i++) {
        const bool take_b = a == mid || (b < end && key_less(view, &in[b], &in[a]));
        out[i] = take_b ? in[b++] : in[a++];
    }
}

// Merge sort from the bottom up; the result is in `keys`.
static void sort_by_merging(const WriterView *view, SortKey *keys, SortKey *other, size_t count)
{
    SortKey *from = keys;
    SortKey *to = other;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t i = 0; i < count; i += 2 * width) {
            const size_t mid = width < count - i ? width : count - i;
            const size_t end = 2 * width < count - i ? 2 * width : count - i;
            merge(view, from + i, to + i, mid, end);
        }
        SortKey *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) {
        memcpy(keys, from, count * sizeof(*keys));
    }
}

static SortKey *sort_keys(const WriterView *view, SortKey *keys, SortKey *other, size_t count)
{
    SortKey *sorted = sort_by_prefix(keys, other, count);
    other = sorted == keys ? other : keys;
    // Numbers are in order now; texts may go on behind the prefix.
    for (size_t i = 0; i < count && view->leaf->order == WRITER_BYTES;) {
        size_t end = i + 1;
        while (end < count && sorted[end].prefix == sorted[i].prefix) {
            end++;
        }
        sort_by_merging(view, sorted + i, other, end - i);
        i = end;
    }
    return sorted;
}

// Orders dict->entries; new_code[code] says where each went.
static void sort_entries(const WriterView *view, WriterDict *dict, uint32_t *new_code)
{
    SortKey *keys = mem_alloc_raw(2 * (size_t)dict->count * sizeof(*keys));
    const size_t skip = common_prefix(view, dict);
    bool in_order = true;
    for (uint32_t i = 0; i < dict->count; i++) {
        keys[i] = (SortKey){.prefix = sort_prefix(view, dict->entries[i], skip),
                            .ref = dict->entries[i],
                            .code = i};
        in_order = in_order && (i == 0 || key_less(view, &keys[i - 1], &keys[i]));
    }
    dict->sorted = in_order;
    const bool is_text = view->leaf->order == WRITER_BYTES;
    if (!in_order && (!is_text || dict->count <= WRITER_DICTIONARY_SORT_MAX)) {
        const SortKey *sorted = sort_keys(view, keys, keys + dict->count, dict->count);
        for (uint32_t i = 0; i < dict->count; i++) {
            dict->entries[i] = sorted[i].ref;
            new_code[sorted[i].code] = i;
        }
        dict->sorted = true;
    } else {
        for (uint32_t i = 0; i < dict->count; i++) {
            new_code[i] = i;
        }
    }
    mem_free(keys);
}

static void finish(Collector *c, Arena *scratch, WriterDict *dict)
{
    dict->built = true;
    dict->code_of = c->code_of;
    dict->count = (uint32_t)c->entries->len;
    dict->plain_bytes = c->plain_bytes;
    dict->value_count = c->value_count;
    dict->entries = arena_new(scratch, uint32_t, dict->count);
    memcpy(dict->entries, c->entries->ptr, dict->count * sizeof(*dict->entries));
    uint32_t *new_code = mem_alloc_raw(dict->count * sizeof(*new_code));
    sort_entries(c->view, dict, new_code);
    if (c->view->pool_distinct) {
        for (uint32_t code = 0; code < dict->count; code++) {
            dict->code_of[dict->entries[code]] = code;
        }
    } else {
        for (uint32_t ref = 0; ref < c->view->pool->row_count; ref++) {
            if (dict->code_of[ref] != 0) {
                dict->code_of[ref] = new_code[dict->code_of[ref] - 1];
            }
        }
    }
    mem_free(new_code);
}

Status writer_dict_build(WriterTools *tools, WriterView *view, WriterPages pages, Arena *scratch,
                         WriterDict *dict, Err *err)
{
    Status st = OK;
    *dict = (WriterDict){0};
    if (view->leaf->options.dictionary == PARQUET_DICTIONARY_NEVER ||
        view->leaf->order == WRITER_BOOL) {
        return OK;
    }
    tools->code_of.len = 0;
    tools->entries.len = 0;
    Collector c = {.view = view, .entries = &tools->entries};
    c.code_of = writer_u32s_room(&tools->code_of, view->pool->row_count);
    memset(c.code_of, 0, view->pool->row_count * sizeof(*c.code_of));
    for (uint32_t i = 0; i < pages.count; i++) {
        const uint32_t row = pages.pages[i] * PARQUET_PAGE_ROWS;
        const uint32_t left = view->row_count - row;
        WriterSlots slots = {0};
        TRY_OUT(writer_view_slots(view, row, left < PARQUET_PAGE_ROWS ? left : PARQUET_PAGE_ROWS,
                                  &slots, err));
        collect_page(&c, &slots);
        if (is_hopeless(&c, pages.distinct_percent_max)) {
            goto out;
        }
    }
    if (c.entries->len != 0) {
        finish(&c, scratch, dict);
    }
out:
    mem_free(c.slots);
    return st;
}

// ---- smallest and largest value of a page

static void range_of_codes(const WriterView *view, const WriterDict *dict, const WriterSlots *s,
                           WriterRange *out)
{
    uint32_t min = UINT32_MAX;
    uint32_t max = 0;
    if (s->form == WRITER_RANGE) {
        minmax_u32(dict->code_of + s->first, s->value_count, &min, &max);
    } else {
        for (uint32_t i = 0; i < s->ref_count; i++) {
            const uint32_t code = dict->code_of[s->refs[i]];
            min = code < min ? code : min;
            max = code > max ? code : max;
        }
    }
    out->has = true;
    out->min.bytes = writer_view_bytes(view, dict->entries[min]);
    out->max.bytes = writer_view_bytes(view, dict->entries[max]);
}

static void range_of_bytes(const WriterView *view, const WriterSlots *s, WriterRange *out)
{
    const uint32_t n = s->form == WRITER_RANGE ? s->value_count : s->ref_count;
    uint32_t last = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t ref = s->form == WRITER_RANGE ? s->first + i : s->refs[i];
        if (out->has && ref == last) {
            continue;
        }
        const WriterValue v = {.bytes = writer_view_bytes(view, ref)};
        if (!out->has || writer_value_compare(WRITER_BYTES, &v, &out->min) < 0) {
            out->min = v;
        }
        if (!out->has || writer_value_compare(WRITER_BYTES, &v, &out->max) > 0) {
            out->max = v;
        }
        out->has = true;
        last = ref;
    }
}

static void range_of_bools(const uint8_t *v, uint32_t count, WriterRange *out)
{
    const bool has_false = memchr(v, 0, count) != NULL;
    const bool has_true = memchr(v, 1, count) != NULL;
    out->min.bits = has_false ? 0 : 1;
    out->max.bits = has_true ? 1 : 0;
}

static void range_of_fixed(WriterOrder order, const void *values, uint32_t count, WriterRange *out)
{
    size_t nan_count = 0;
    switch (order) {
    case WRITER_BOOL:
        range_of_bools(values, count, out);
        break;
    case WRITER_I32: {
        int32_t min = 0;
        int32_t max = 0;
        minmax_i32(values, count, &min, &max);
        out->min.bits = (uint32_t)min;
        out->max.bits = (uint32_t)max;
        break;
    }
    case WRITER_I64: {
        int64_t min = 0;
        int64_t max = 0;
        minmax_i64(values, count, &min, &max);
        out->min.bits = (uint64_t)min;
        out->max.bits = (uint64_t)max;
        break;
    }
    case WRITER_U32: {
        uint32_t min = 0;
        uint32_t max = 0;
        minmax_u32(values, count, &min, &max);
        out->min.bits = min;
        out->max.bits = max;
        break;
    }
    case WRITER_U64:
        minmax_u64(values, count, &out->min.bits, &out->max.bits);
        break;
    case WRITER_F32: {
        float bounds[2] = {0};
        uint32_t bits[2] = {0};
        nan_count = minmax_f32(values, count, &bounds[0], &bounds[1]);
        memcpy(bits, bounds, sizeof(bits));
        out->min.bits = bits[0];
        out->max.bits = bits[1];
        break;
    }
    case WRITER_F64: {
        double bounds[2] = {0};
        nan_count = minmax_f64(values, count, &bounds[0], &bounds[1]);
        memcpy(&out->min.bits, &bounds[0], sizeof(out->min.bits));
        memcpy(&out->max.bits, &bounds[1], sizeof(out->max.bits));
        break;
    }
    case WRITER_BYTES:
        UNREACHABLE();
    }
    out->nan = nan_count != 0;
    out->has = nan_count < count;
}

void writer_page_range(const WriterView *view, const WriterDict *dict, const WriterSlots *slots,
                       WriterValues *values, WriterRange *out)
{
    *out = (WriterRange){0};
    if (slots->value_count == 0) {
        return;
    }
    if (view->leaf->order != WRITER_BYTES) {
        // Each run once: how often a value comes does not matter here.
        WriterSlots once = *slots;
        if (slots->form == WRITER_RUNS) {
            once.form = WRITER_REFS;
            once.value_count = slots->ref_count;
        }
        writer_values_gather(values, view, &once);
        range_of_fixed(view->leaf->order, values->fixed, values->count, out);
    } else if (dict->built && dict->sorted) {
        range_of_codes(view, dict, slots, out);
    } else {
        range_of_bytes(view, slots, out);
    }
}
