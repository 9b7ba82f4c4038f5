// SPDX-License-Identifier: Apache-2.0
//
// Series of the script language: labels, then values with their repetitions.
#include "base/mem.h"
#include "tests/promql/script_internal.h"

typedef struct Values { // grows while a line is read, then moves to the arena
    ScriptValue *items;
    size_t count, cap;
} Values;

static Status values_add(Values *values, ScriptValue value, Err *err)
{
    if (values->count == SCRIPT_VALUES_MAX) {
        return err_set(err, ERR_INVALID, "more than %d values", SCRIPT_VALUES_MAX);
    }
    values->items =
        mem_grow(values->items, &values->cap, values->count + 1, sizeof(*values->items));
    values->items[values->count++] = value;
    return OK;
}

static Status bad_value(const Cursor *c, Err *err)
{
    return err_set(err, ERR_INVALID, "expected a value at '" STR_FMT "'", STR_ARG(cursor_rest(c)));
}

// After `x`.
static Status take_times(Cursor *c, uint64_t *out, Err *err)
{
    if (!cursor_count(c, out) || *out > SCRIPT_VALUES_MAX) {
        return err_set(err, ERR_INVALID, "bad repetition at '" STR_FMT "'",
                       STR_ARG(cursor_rest(c)));
    }
    return OK;
}

static Status take_blanks(Cursor *c, Values *values, Err *err)
{
    uint64_t times = 1;
    c->pos++; // _
    if (cursor_take(c, 'x')) {
        TRY(take_times(c, &times, err));
    }
    for (uint64_t i = 0; i < times; i++) {
        TRY(values_add(values, (ScriptValue){.is_omitted = true}, err));
    }
    return OK;
}

static Status take_floats(Cursor *c, Values *values, Err *err)
{
    double value = 0, step = 0;
    uint64_t times = 0;
    if (str_starts(cursor_rest(c), STR("stale"))) {
        c->pos += STR("stale").len;
        value = script_stale();
    } else if (!cursor_signed_number(c, &value)) {
        return bad_value(c, err);
    }
    const char next = cursor_peek(c);
    if (next == '+' || next == '-') {
        if (!cursor_signed_number(c, &step) || cursor_peek(c) != 'x') {
            return bad_value(c, err);
        }
    }
    const bool repeats = cursor_take(c, 'x');
    if (repeats) {
        TRY(take_times(c, &times, err));
    }
    for (uint64_t i = 0; i <= times; i++) {
        TRY(values_add(values, (ScriptValue){.value = value}, err));
        // A stale marker must keep its bits, which arithmetic would not promise.
        value = next == '+' || next == '-' ? value + step : value;
    }
    return OK;
}

static Status take_histograms(Cursor *c, Arena *arena, Values *values, Err *err)
{
    ScriptValue value, increment = {0};
    uint64_t times = 0;
    TRY(cursor_histogram(c, arena, &value, err));
    const char next = cursor_peek(c);
    if (next == '+' || next == '-') {
        c->pos++;
        if (!str_starts(cursor_rest(c), STR("{{"))) {
            return bad_value(c, err);
        }
        TRY(cursor_histogram(c, arena, &increment, err));
        // Prometheus looks at the hint that was read last.
        value.has_hint = increment.has_hint;
        if (cursor_peek(c) != 'x') {
            return bad_value(c, err);
        }
    }
    if (cursor_take(c, 'x')) {
        TRY(take_times(c, &times, err));
    }
    TRY(values_add(values, value, err));
    for (uint64_t i = 0; i < times; i++) {
        if (increment.histogram != NULL) {
            TRY(script_histogram_step(value.histogram, increment.histogram, next == '+' ? 1 : -1,
                                      arena, &value.histogram, err));
        }
        TRY(values_add(values, value, err));
    }
    return OK;
}

Status script_series(Str line, Arena *arena, ScriptSeries *out, Err *err)
{
    Status st = OK;
    Values values = {0};
    Cursor c = {script_trim(line), 0};
    *out = (ScriptSeries){0};
    TRY_OUT(cursor_labels(&c, arena, &out->labels, err));
    for (;;) {
        const size_t before = c.pos;
        cursor_skip_blanks(&c);
        if (cursor_end(&c)) {
            break;
        }
        if (c.pos == before && values.count != 0) {
            TRY_OUT(bad_value(&c, err));
        }
        if (cursor_peek(&c) == '_') {
            TRY_OUT(take_blanks(&c, &values, err));
        } else if (str_starts(cursor_rest(&c), STR("{{"))) {
            TRY_OUT(take_histograms(&c, arena, &values, err));
        } else {
            TRY_OUT(take_floats(&c, &values, err));
        }
    }
    ScriptValue *items = arena_new(arena, ScriptValue, values.count);
    if (values.count != 0) {
        memcpy(items, values.items, values.count * sizeof(*items));
    }
    out->values = items;
    out->count = values.count;
out:
    mem_free(values.items);
    return st;
}

// --- start timestamps ----------------------------------------------------------------------------

// `-1m`, with or without its sign.
static bool take_offset(Cursor *c, int64_t *out_ms)
{
    const bool minus = cursor_take(c, '-');
    if (!minus) {
        (void)cursor_take(c, '+');
    }
    const size_t start = c->pos;
    while (cursor_peek(c) >= '0' && cursor_peek(c) <= '9') {
        c->pos++;
    }
    while (cursor_peek(c) >= 'a' && cursor_peek(c) <= 'z' && cursor_peek(c) != 'x') {
        c->pos++;
    }
    if (!script_duration(str_slice(c->text, start, c->pos), out_ms)) {
        // Prometheus takes 0ms, which is no duration elsewhere.
        if (!str_eq(str_slice(c->text, start, c->pos), STR("0ms"))) {
            return false;
        }
        *out_ms = 0;
    }
    *out_ms = minus ? -*out_ms : *out_ms;
    return true;
}

// One item: how many places, the first offset and what each adds.
static Status take_start(Cursor *c, uint64_t *places, int64_t *offset, int64_t *step, Err *err)
{
    *places = 1;
    *step = 0;
    if (!take_offset(c, offset)) {
        return bad_value(c, err);
    }
    const char next = cursor_peek(c);
    if (next == '+' || next == '-') {
        c->pos++;
        if (!take_offset(c, step) || cursor_peek(c) != 'x') {
            return bad_value(c, err);
        }
        *step = next == '-' ? -*step : *step;
    }
    if (cursor_take(c, 'x')) {
        TRY(take_times(c, places, err));
        ++*places;
    }
    return OK;
}

Status script_starts(Str text, Arena *arena, ScriptSeries *out, Err *err)
{
    Cursor c = {script_trim(text), 0};
    int64_t *offsets = arena_new(arena, int64_t, out->count);
    bool *given = arena_new(arena, bool, out->count);
    size_t count = 0;
    while (cursor_skip_blanks(&c), !cursor_end(&c)) {
        uint64_t places = 1;
        int64_t offset = 0, step = 0;
        const bool blank = cursor_take(&c, '_');
        if (!blank) {
            TRY(take_start(&c, &places, &offset, &step, err));
        } else if (cursor_take(&c, 'x')) {
            TRY(take_times(&c, &places, err));
        }
        for (uint64_t i = 0; i < places; i++, offset += step) {
            if (count == out->count) {
                return err_set(err, ERR_INVALID, "more start timestamps than samples");
            }
            offsets[count] = offset;
            given[count++] = !blank;
        }
    }
    if (count != out->count) {
        return err_set(err, ERR_INVALID, "%zu start timestamps for %zu samples", count, out->count);
    }
    out->start_offsets_ms = offsets;
    out->has_start = given;
    return OK;
}
