// SPDX-License-Identifier: Apache-2.0
#include "parquet/leaf.h"

#include "base/mem.h"
#include "parquet/reader_internal.h"

enum { BLOCK = 256, ROW_SLOTS_MAX = 1 << 20, ROW_BYTES_MAX = 1 << 30 };

// ---- finding

typedef struct Find {
    const ParquetSchemaElement *schema;
    uint32_t count;
    uint32_t next; // element
    uint32_t leaf; // number of the next leaf
    const Str *path;
    size_t path_count;
    uint32_t nth;
    ParquetLeafPlace *out;
    bool found;
} Find;

typedef struct Levels {
    uint32_t def, rep;
    size_t matched; // names of the path
    uint32_t field_def;
} Levels;

// Visits an element and all below it. The schema was checked when the file was opened, its depth
// too.
static void visit(Find *f, Levels levels, uint32_t *leaf_of_field)
{
    const ParquetSchemaElement *e = &f->schema[f->next++];
    uint32_t first = 0;
    levels.def += e->repetition != PARQUET_REQUIRED ? 1 : 0;
    levels.rep += e->repetition == PARQUET_REPEATED ? 1 : 0;
    if (levels.matched < f->path_count) {
        if (!str_eq(e->name, f->path[levels.matched])) {
            levels.matched = SIZE_MAX; // nothing below can match
        } else {
            levels.matched++;
            if (levels.matched == f->path_count) {
                levels.field_def = levels.def;
                leaf_of_field = &first;
            }
        }
    }
    if (e->has_type) {
        if (levels.matched == f->path_count && leaf_of_field != NULL &&
            (*leaf_of_field)++ == f->nth && !f->found) {
            f->found = true;
            *f->out = (ParquetLeafPlace){.leaf = f->leaf,
                                         .max_def = levels.def,
                                         .max_rep = levels.rep,
                                         .def = levels.field_def,
                                         .element = e};
        }
        f->leaf++;
        return;
    }
    for (int32_t i = 0; i < e->child_count; i++) {
        visit(f, levels, leaf_of_field);
    }
}

bool parquet_leaf_find(const ParquetReader *r, const Str *path, size_t path_count, uint32_t nth,
                       ParquetLeafPlace *out)
{
    *out = (ParquetLeafPlace){0};
    Find f = {.schema = r->meta.schema,
              .count = r->meta.schema_count,
              .next = 1,
              .path = path,
              .path_count = path_count,
              .nth = nth,
              .out = out};
    while (f.next < f.count) {
        visit(&f, (Levels){0}, NULL);
    }
    return f.found;
}

// ---- reading

struct ParquetLeafCursor {
    const ParquetReader *r;
    ParquetLeaf leaf;
    uint32_t leaf_index;
    ParquetChunkContext ctx;
    ParquetLeafReader in;
    bool in_group;
    uint32_t next_group;
    uint64_t rows_left; // that begin in the row group and did not yet

    uint32_t rep[BLOCK], def[BLOCK];
    uint32_t pos, count; // slots [pos, count) are not used yet
    uint32_t value_pos;  // of their values
    int64_t i64[BLOCK];
    uint32_t offsets[BLOCK + 1];
    ParquetText text;

    ParquetSlot *row;
    size_t row_count, row_cap;
    Buf row_text; // of its slots, one after the other
};

static Status set_leaf(ParquetLeaf *leaf, const ParquetSchemaElement *e, Err *err)
{
    leaf->element = e;
    switch (e->type) {
    case PARQUET_BOOLEAN:
        leaf->type = COLUMN_BOOL;
        leaf->convert = PARQUET_CONVERT_BOOL;
        return OK;
    case PARQUET_INT32:
        leaf->type = COLUMN_INT32;
        leaf->convert = PARQUET_CONVERT_COPY;
        leaf->width = 4;
        return OK;
    case PARQUET_INT64:
        leaf->type = COLUMN_INT64;
        leaf->convert = PARQUET_CONVERT_COPY;
        leaf->width = 8;
        return OK;
    case PARQUET_BYTE_ARRAY:
        leaf->type = COLUMN_STRING;
        leaf->convert = PARQUET_CONVERT_BYTES;
        return OK;
    case PARQUET_INT96:
    case PARQUET_FLOAT:
    case PARQUET_DOUBLE:
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        break;
    }
    return err_set(err, ERR_UNSUPPORTED, "parquet column '" STR_FMT "' is of type %d",
                   STR_ARG(e->name), (int)e->type);
}

Status parquet_leaf_cursor_open(const ParquetReader *r, const ParquetLeafPlace *place,
                                ParquetLeafCursor **out, Err *err)
{
    ParquetLeaf leaf = {.max_def = place->max_def, .max_rep = place->max_rep};
    *out = NULL;
    TRY(set_leaf(&leaf, place->element, err));
    ParquetLeafCursor *c = mem_new(ParquetLeafCursor, 1);
    c->r = r;
    c->leaf = leaf;
    c->leaf_index = place->leaf;
    c->ctx.fetch.source = &r->source;
    c->ctx.compress = compress_new();
    c->ctx.v2_always_compressed = r->v2_always_compressed;
    buf_init(&c->row_text, ROW_BYTES_MAX);
    *out = c;
    return OK;
}

void parquet_leaf_cursor_close(ParquetLeafCursor *c)
{
    if (c != NULL) {
        parquet_leaf_deinit(&c->in);
        parquet_fetch_deinit(&c->ctx.fetch);
        compress_free(c->ctx.compress);
        parquet_scratch_deinit(&c->text.bytes);
        mem_free(c->row);
        buf_deinit(&c->row_text);
        mem_free(c);
    }
}

static Status begin_group(ParquetLeafCursor *c, Err *err)
{
    const ParquetRowGroup *group = &c->r->meta.row_groups[c->next_group];
    const ParquetColumnChunk *chunk = &group->columns[c->leaf_index];
    uint64_t offset = 0;
    uint64_t size = 0;
    if (chunk->encrypted || chunk->external_file || chunk->codec == PARQUET_LZO) {
        return err_set(err, ERR_UNSUPPORTED, "an encrypted, external or LZO column chunk");
    }
    if (chunk->type != c->leaf.element->type) {
        return err_set(err, ERR_CORRUPT, "a column chunk is not of the type the schema says");
    }
    parquet_leaf_begin(&c->in, &c->ctx, &c->leaf, chunk);
    c->in.row_count = (uint64_t)group->row_count;
    TRY(parquet_chunk_extent(c->r, chunk, &offset, &size, err));
    c->in.pages.pos = offset;
    c->in.pages.end = offset + size;
    c->rows_left = (uint64_t)group->row_count;
    c->in_group = true;
    c->next_group++;
    return OK;
}

static Status widen(ParquetLeafCursor *c, uint32_t values, Err *err)
{
    ParquetValues *v = &c->in.values;
    const bool coded = v->kind == PARQUET_VALUES_CODES;
    const void *from = NULL;
    uint32_t codes[BLOCK];
    int64_t raw[BLOCK];
    if (coded) {
        TRY(parquet_values_codes(v, codes, values, err));
        from = c->in.dictionary.vector.data;
    } else {
        TRY(parquet_values_fixed(v, raw, values, err));
        from = raw;
    }
    for (uint32_t i = 0; i < values; i++) {
        const size_t at = coded ? codes[i] : i;
        int32_t narrow = 0;
        switch (c->leaf.type == COLUMN_BOOL ? 1 : c->leaf.width) {
        case 1:
            c->i64[i] = ((const uint8_t *)from)[at];
            break;
        case 4:
            memcpy(&narrow, (const uint8_t *)from + at * 4, 4);
            c->i64[i] = narrow;
            break;
        default:
            memcpy(&c->i64[i], (const uint8_t *)from + at * 8, 8);
            break;
        }
    }
    return OK;
}

static Status read_text(ParquetLeafCursor *c, uint32_t values, Err *err)
{
    ParquetValues *v = &c->in.values;
    c->text.used = 0;
    if (v->kind != PARQUET_VALUES_CODES) {
        return parquet_values_text(v, c->offsets, &c->text, values, err);
    }
    uint32_t codes[BLOCK];
    TRY(parquet_values_codes(v, codes, values, err));
    for (uint32_t i = 0; i < values; i++) {
        const Str s = vector_flat_str(&c->in.dictionary.vector, codes[i]);
        if (s.len > ROW_BYTES_MAX - c->text.used) {
            return err_set(err, ERR_TOO_LARGE, "more than %d bytes of text", ROW_BYTES_MAX);
        }
        uint8_t *to = parquet_scratch_grow(&c->text.bytes, c->text.used, c->text.used + s.len);
        if (s.len > 0) {
            memcpy(to + c->text.used, s.ptr, s.len);
        }
        c->offsets[i] = (uint32_t)c->text.used;
        c->text.used += s.len;
    }
    c->offsets[values] = (uint32_t)c->text.used;
    return OK;
}

// Makes c->pos < c->count, or sets *end at the end of the row group.
static Status more_slots(ParquetLeafCursor *c, bool *end, Err *err)
{
    ParquetLeafReader *in = &c->in;
    *end = false;
    if (c->pos < c->count) {
        return OK;
    }
    if (!in->open) {
        bool found = false;
        TRY(parquet_leaf_open(in, &found, err));
        if (!found) {
            *end = true;
            return OK;
        }
        TRY(parquet_leaf_load(in, err));
    }
    const uint32_t count = in->left < BLOCK ? (uint32_t)in->left : BLOCK;
    memset(c->rep, 0, sizeof(c->rep));
    memset(c->def, 0, sizeof(c->def));
    if (c->leaf.max_rep > 0) {
        TRY(rle_decode(&in->rep, c->rep, count, err));
    }
    if (c->leaf.max_def > 0) {
        TRY(rle_decode(&in->def, c->def, count, err));
    }
    uint32_t values = 0;
    for (uint32_t i = 0; i < count; i++) {
        values += c->def[i] == c->leaf.max_def ? 1 : 0;
    }
    TRY(c->leaf.type == COLUMN_STRING ? read_text(c, values, err) : widen(c, values, err));
    c->pos = 0;
    c->value_pos = 0;
    c->count = count;
    in->left -= count;
    in->row += c->leaf.max_rep == 0 ? count : 0;
    in->open = in->left > 0;
    return OK;
}

static Status take_slot(ParquetLeafCursor *c, Err *err)
{
    ParquetSlot slot = {.rep = c->rep[c->pos], .def = c->def[c->pos]};
    slot.has_value = slot.def == c->leaf.max_def;
    c->pos++;
    if (slot.has_value && c->leaf.type == COLUMN_STRING) {
        const uint32_t from = c->offsets[c->value_pos];
        const uint32_t to = c->offsets[c->value_pos + 1];
        slot.text.len = to - from; // the pointer is set when the row is complete
        buf_put(&c->row_text, c->text.bytes.ptr + from, to - from);
    } else if (slot.has_value) {
        slot.i64 = c->i64[c->value_pos];
    }
    c->value_pos += slot.has_value ? 1 : 0;
    if (c->row_count == ROW_SLOTS_MAX || !buf_ok(&c->row_text)) {
        return err_set(err, ERR_TOO_LARGE, "a row of more than %d values or %d bytes",
                       ROW_SLOTS_MAX, ROW_BYTES_MAX);
    }
    c->row = mem_grow(c->row, &c->row_cap, c->row_count + 1, sizeof(*c->row));
    c->row[c->row_count++] = slot;
    return OK;
}

static Status read_row(ParquetLeafCursor *c, Err *err)
{
    bool end = false;
    while (!c->in_group || c->rows_left == 0) {
        if (c->in_group) {
            TRY(more_slots(c, &end, err));
            if (!end) {
                return err_set(err, ERR_CORRUPT, "more rows than the row group has");
            }
            c->in_group = false;
        }
        if (c->next_group == c->r->meta.row_group_count) {
            return OK;
        }
        TRY(begin_group(c, err));
    }
    TRY(more_slots(c, &end, err));
    if (end || c->rep[c->pos] != 0) {
        return err_set(err, ERR_CORRUPT,
                       end ? "fewer rows than the row group has"
                           : "a row begins with a repetition");
    }
    c->rows_left--;
    do {
        TRY(take_slot(c, err));
        TRY(more_slots(c, &end, err));
    } while (!end && c->rep[c->pos] != 0);
    return OK;
}

Status parquet_leaf_cursor_row(ParquetLeafCursor *c, const ParquetSlot **slots, size_t *count,
                               Err *err)
{
    c->row_count = 0;
    buf_clear(&c->row_text);
    *slots = NULL;
    *count = 0;
    if (read_row(c, err) != OK) {
        return err_prefix(err, "parquet column %" PRIu32 ": ", c->leaf_index);
    }
    size_t at = 0;
    for (size_t i = 0; i < c->row_count; i++) {
        c->row[i].text.ptr = c->row[i].text.len > 0 ? (const char *)c->row_text.ptr + at : NULL;
        at += c->row[i].text.len;
    }
    *slots = c->row;
    *count = c->row_count;
    return OK;
}
