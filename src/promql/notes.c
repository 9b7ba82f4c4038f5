// SPDX-License-Identifier: Apache-2.0
#include "promql/notes.h"

#include "base/civil.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "codec/dtoa.h"
#include "os/thread.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum NoteDetail { NOTE_PLAIN, NOTE_FORCED, NOTE_OVERLAP } NoteDetail;

typedef struct Note {
    PromqlNoteKind kind;
    NoteDetail detail;
    PromqlPos pos;
    Str text; // the key in the map, with prefix
    uint64_t count;
    int64_t first_ms, last_ms; // NOTE_FORCED
    double min_bucket, max_bucket, max_diff;
} Note;

struct PromqlNotes {
    Mutex mu;             // level 64, a leaf
    StrMap by_text;       // mu: index into notes
    Note *notes;          // mu
    size_t cap;           // mu
    uint64_t left_out[2]; // mu: by kind, past PROMQL_NOTES_MAX
};

static const char *const prefixes[] = {
    [PROMQL_WARNING] = "PromQL warning: ",
    [PROMQL_INFO] = "PromQL info: ",
};

PromqlNotes *promql_notes_new(void)
{
    PromqlNotes *notes = mem_new(PromqlNotes, 1);
    mutex_init_level(&notes->mu, 64);
    strmap_init(&notes->by_text);
    return notes;
}

void promql_notes_free(PromqlNotes *notes)
{
    if (notes != NULL) {
        strmap_deinit(&notes->by_text);
        mem_free(notes->notes);
        mutex_deinit(&notes->mu);
        mem_free(notes);
    }
}

// Whether `a` is evaluated before `b`: children before parents, left before right.
static bool is_before(PromqlPos a, PromqlPos b)
{
    return a.end != b.end ? a.end < b.end : a.start > b.start;
}

// Adds what `fresh` says to the note that is there. Prometheus keeps the first place of those that
// are counted and the last of the others.
static void merge(Note *note, const Note *fresh)
{
    if (is_before(note->pos, fresh->pos) == (note->detail == NOTE_PLAIN)) {
        note->pos = fresh->pos;
    }
    note->count += fresh->count;
    if (note->detail == NOTE_FORCED) {
        note->first_ms = fresh->first_ms < note->first_ms ? fresh->first_ms : note->first_ms;
        note->last_ms = fresh->last_ms > note->last_ms ? fresh->last_ms : note->last_ms;
        note->min_bucket =
            fresh->min_bucket < note->min_bucket ? fresh->min_bucket : note->min_bucket;
        note->max_bucket =
            fresh->max_bucket > note->max_bucket ? fresh->max_bucket : note->max_bucket;
        note->max_diff = fresh->max_diff > note->max_diff ? fresh->max_diff : note->max_diff;
    }
}

static void add(PromqlNotes *notes, const Note *fresh)
{
    mutex_lock(&notes->mu);
    StrMap *map = &notes->by_text;
    const uint64_t *at = strmap_get(map, fresh->text);
    if (at != NULL) {
        merge(&notes->notes[*at], fresh);
    } else if (map->count >= PROMQL_NOTES_MAX) {
        notes->left_out[fresh->kind]++;
    } else {
        const size_t i = map->count;
        notes->notes = mem_grow(notes->notes, &notes->cap, i + 1, sizeof(*notes->notes));
        (void)strmap_put(map, fresh->text, i, NULL); // it is new, so its value is i
        notes->notes[i] = *fresh;
        notes->notes[i].text = map->entries[i].key;
    }
    mutex_unlock(&notes->mu);
}

void promql_note(PromqlNotes *notes, PromqlNoteKind kind, PromqlPos pos, const char *format, ...)
{
    char text[1024]; // the longest text is about 200 bytes beside names, which callers cut
    va_list args;
    const int prefix = snprintf(text, sizeof(text), "%s", prefixes[kind]);
    va_start(args, format);
    const int body = vsnprintf(text + prefix, sizeof(text) - (size_t)prefix, format, args);
    va_end(args);
    ASSERT(prefix > 0 && body >= 0);
    const size_t len = (size_t)prefix + (size_t)body;
    const Str whole = {.ptr = text, .len = len < sizeof(text) ? len : sizeof(text) - 1};
    add(notes, &(Note){.kind = kind, .pos = pos, .text = whole, .count = 1});
}

static void add_buf(PromqlNotes *notes, Note fresh, Buf *text)
{
    fresh.text = buf_str(text);
    fresh.count = 1;
    add(notes, &fresh);
    buf_deinit(text);
}

static void begin(Buf *text, PromqlNoteKind kind, const char *body)
{
    buf_init(text, 0);
    buf_putf(text, "%s%s", prefixes[kind], body);
}

void promql_note_metric(PromqlNotes *notes, PromqlNoteKind kind, PromqlPos pos, const char *text,
                        Str metric)
{
    Buf whole;
    begin(&whole, kind, text);
    buf_put_u8(&whole, ' ');
    promql_notes_quote(metric, &whole);
    add_buf(notes, (Note){.kind = kind, .pos = pos}, &whole);
}

static void put_for_metric(Str metric, Buf *out)
{
    if (metric.len != 0) {
        buf_put_str(out, STR(" for metric name "));
        promql_notes_quote(metric, out);
    }
}

void promql_note_for_metric(PromqlNotes *notes, PromqlNoteKind kind, PromqlPos pos,
                            const char *text, Str metric)
{
    Buf whole;
    begin(&whole, kind, text);
    put_for_metric(metric, &whole);
    add_buf(notes, (Note){.kind = kind, .pos = pos}, &whole);
}

void promql_note_got(PromqlNotes *notes, PromqlNoteKind kind, PromqlPos pos, const char *text,
                     double got)
{
    Buf whole;
    begin(&whole, kind, text);
    buf_put_str(&whole, STR(", got "));
    dtoa_put_f64(&whole, got, DTOA_GO_G);
    add_buf(notes, (Note){.kind = kind, .pos = pos}, &whole);
}

void promql_note_forced(PromqlNotes *notes, PromqlPos pos, Str metric, const PromqlForced *forced)
{
    Buf whole;
    begin(&whole, PROMQL_INFO,
          "input to histogram_quantile needed to be fixed for monotonicity (see "
          "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)");
    put_for_metric(metric, &whole);
    const Note fresh = {
        .kind = PROMQL_INFO,
        .detail = NOTE_FORCED,
        .pos = pos,
        .first_ms = forced->time_ms,
        .last_ms = forced->time_ms,
        .min_bucket = forced->min_bucket,
        .max_bucket = forced->max_bucket,
        .max_diff = forced->max_diff,
    };
    add_buf(notes, fresh, &whole);
}

void promql_note_start_overlap(PromqlNotes *notes, PromqlPos pos, Str metric)
{
    Buf whole;
    begin(&whole, PROMQL_WARNING,
          "sample has start time that overlaps with previous sample timestamp for metric ");
    promql_notes_quote(metric, &whole);
    add_buf(notes, (Note){.kind = PROMQL_WARNING, .detail = NOTE_OVERLAP, .pos = pos}, &whole);
}

// strconv.Quote, with every character from U+00A0 on taken as printable.
void promql_notes_quote(Str text, Buf *out)
{
    static const char short_forms[] = "abtnvfr"; // 0x07 to 0x0d
    buf_put_u8(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = (uint8_t)text.ptr[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        } else if (c >= 0x07 && c <= 0x0d) {
            buf_put_u8(out, '\\');
            buf_put_u8(out, (uint8_t)short_forms[c - 0x07]);
        } else if (c < 0x20 || c == 0x7f) {
            buf_putf(out, "\\x%02x", c);
        } else if (c == 0xc2 && i + 1 < text.len && (uint8_t)text.ptr[i + 1] < 0xa0) {
            i++;
            buf_putf(out, "\\u%04x", (uint8_t)text.ptr[i]);
        } else {
            buf_put_u8(out, c);
        }
    }
    buf_put_u8(out, '"');
}

// %.2g of Go, which differs from C's only in how it writes what is no number.
static void put_two_digits(double v, Buf *out)
{
    if (v - v != 0) {
        dtoa_put_f64(out, v, DTOA_GO_G);
    } else {
        buf_putf(out, "%.2g", v);
    }
}

static void put_seconds(int64_t ms, Buf *out)
{
    civil_put_rfc3339(out, ms / 1000 * 1000000);
}

static void put_place(PromqlPos pos, Str expression, Buf *out)
{
    if (expression.len == 0) {
        buf_put_str(out, STR(" (unknown position)"));
    } else if (pos.start > expression.len) {
        buf_put_str(out, STR(" (invalid position)"));
    } else {
        size_t line = 1;
        size_t line_start = 0;
        for (size_t i = 0; i < pos.start; i++) {
            if (expression.ptr[i] == '\n') {
                line_start = i + 1;
                line++;
            }
        }
        buf_putf(out, " (%zu:%zu)", line, pos.start - line_start + 1);
    }
}

static void put_note(const Note *note, Str expression, Buf *out)
{
    buf_put_str(out, note->text);
    switch (note->detail) {
    case NOTE_PLAIN:
        break;
    case NOTE_FORCED:
        buf_put_str(out, STR(", from buckets "));
        dtoa_put_f64(out, note->min_bucket, DTOA_GO_G);
        buf_put_str(out, STR(" to "));
        dtoa_put_f64(out, note->max_bucket, DTOA_GO_G);
        buf_put_str(out, STR(", with a max diff of "));
        put_two_digits(note->max_diff, out);
        buf_putf(out, ", over %" PRIu64 " samples from ", note->count);
        put_seconds(note->first_ms, out);
        buf_put_str(out, STR(" to "));
        put_seconds(note->last_ms, out);
        break;
    case NOTE_OVERLAP:
        if (note->count > 1) {
            buf_putf(out, " (%" PRIu64 " occurrences)", note->count);
        }
        break;
    }
    put_place(note->pos, expression, out);
}

static int compare_text(const void *a, const void *b)
{
    const Str *x = a;
    const Str *y = b;
    const size_t common = x->len < y->len ? x->len : y->len;
    const int order = common == 0 ? 0 : memcmp(x->ptr, y->ptr, common);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

size_t promql_notes_list(PromqlNotes *notes, PromqlNoteKind kind, Str expression, size_t limit,
                         Arena *arena, const Str **out)
{
    static const char *const names[] = {[PROMQL_WARNING] = "warning", [PROMQL_INFO] = "info"};
    Buf text;
    size_t count = 0;

    buf_init(&text, 0);
    mutex_lock(&notes->mu);
    const size_t total = notes->by_text.count;
    uint64_t left_out = notes->left_out[kind];
    Str *list = arena_new(arena, Str, total + 1);
    for (size_t i = 0; i < total; i++) {
        if (notes->notes[i].kind == kind) {
            buf_clear(&text);
            put_note(&notes->notes[i], expression, &text);
            list[count++] = arena_str(arena, buf_str(&text));
        }
    }
    mutex_unlock(&notes->mu);
    qsort(list, count, sizeof(*list), compare_text);
    if (limit != 0 && count > limit) {
        left_out += count - limit;
        count = limit;
    }
    if (left_out != 0) {
        buf_clear(&text);
        buf_putf(&text, "%" PRIu64 " more %s annotations omitted", left_out, names[kind]);
        list[count++] = arena_str(arena, buf_str(&text));
    }
    buf_deinit(&text);
    *out = list;
    return count;
}
