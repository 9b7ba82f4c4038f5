// SPDX-License-Identifier: Apache-2.0
#include "wire/prom_text.h"

#include "base/num.h"
#include "codec/dtoa.h"

static const char *type_text(PromTextType type)
{
    switch (type) {
    case PROM_TEXT_COUNTER:
        return "counter";
    case PROM_TEXT_GAUGE:
        return "gauge";
    case PROM_TEXT_HISTOGRAM:
        return "histogram";
    case PROM_TEXT_SUMMARY:
        return "summary";
    case PROM_TEXT_UNTYPED:
        return "untyped";
    }
    UNREACHABLE();
}

// [a-zA-Z_][a-zA-Z0-9_]*, and ':' in metric names.
static bool is_name(const char *name, bool colon)
{
    for (const char *p = name; *p != '\0'; p++) {
        const bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
                            (colon && *p == ':');
        if (!letter && (p == name || *p < '0' || *p > '9')) {
            return false;
        }
    }
    return name[0] != '\0';
}

static void put_escaped(Buf *out, Str s, bool quotes)
{
    size_t from = 0;
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        if (c != '\\' && c != '\n' && !(quotes && c == '"')) {
            continue;
        }
        buf_put_str(out, str_slice(s, from, i));
        buf_put_u8(out, '\\');
        buf_put_u8(out, c == '\n' ? 'n' : (uint8_t)c);
        from = i + 1;
    }
    buf_put_str(out, str_slice(s, from, s.len));
}

void prom_text_family(PromText *w, const char *name, PromTextType type, const char *help)
{
    ASSERT(is_name(name, true));
    w->name = name;
    w->type = type;
    buf_putf(w->out, "# HELP %s ", name);
    put_escaped(w->out, (Str){help, strlen(help)}, false);
    buf_putf(w->out, "\n# TYPE %s %s\n", name, type_text(type));
}

static void put_label(Buf *out, const char *name, Str value, bool first)
{
    ASSERT(is_name(name, false));
    buf_put_u8(out, first ? '{' : ',');
    buf_put_str(out, (Str){name, strlen(name)});
    buf_put_str(out, STR("=\""));
    put_escaped(out, value, true);
    buf_put_u8(out, '"');
}

// name[suffix]{labels[,le="..."]} and a blank.
static void put_series(PromText *w, const char *suffix, const PromTextLabel *labels,
                       size_t label_count, const Str *le)
{
    ASSERT(w->name != NULL);
    buf_putf(w->out, "%s%s", w->name, suffix);
    for (size_t i = 0; i < label_count; i++) {
        put_label(w->out, labels[i].name, labels[i].value, i == 0);
    }
    if (le != NULL) {
        put_label(w->out, "le", *le, label_count == 0);
    }
    buf_put_str(w->out, label_count > 0 || le != NULL ? STR("} ") : STR(" "));
}

static void put_u64(PromText *w, uint64_t value)
{
    num_put_u64(w->out, value);
    buf_put_u8(w->out, '\n');
}

static void put_f64(PromText *w, double value)
{
    dtoa_put_f64(w->out, value, DTOA_GO_G);
    buf_put_u8(w->out, '\n');
}

void prom_text_u64(PromText *w, const PromTextLabel *labels, size_t label_count, uint64_t value)
{
    put_series(w, "", labels, label_count, NULL);
    put_u64(w, value);
}

void prom_text_f64(PromText *w, const PromTextLabel *labels, size_t label_count, double value)
{
    put_series(w, "", labels, label_count, NULL);
    put_f64(w, value);
}

void prom_text_counter(PromText *w, const char *name, const char *help, uint64_t value)
{
    prom_text_family(w, name, PROM_TEXT_COUNTER, help);
    prom_text_u64(w, NULL, 0, value);
}

void prom_text_gauge(PromText *w, const char *name, const char *help, double value)
{
    prom_text_family(w, name, PROM_TEXT_GAUGE, help);
    prom_text_f64(w, NULL, 0, value);
}

void prom_text_histogram(PromText *w, const PromTextLabel *labels, size_t label_count,
                         const PromTextHistogram *histogram)
{
    uint64_t sum = 0;
    ASSERT(w->type == PROM_TEXT_HISTOGRAM);
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        char text[DTOA_BYTES_MAX];
        Str le = STR("+Inf");
        if (i < histogram->bound_count) {
            le = (Str){.ptr = text, .len = dtoa_f64(histogram->bounds[i], DTOA_GO_G, text)};
        }
        sum += histogram->counts[i];
        put_series(w, "_bucket", labels, label_count, &le);
        put_u64(w, sum);
    }
    put_series(w, "_sum", labels, label_count, NULL);
    put_f64(w, histogram->sum);
    put_series(w, "_count", labels, label_count, NULL);
    put_u64(w, sum);
}
