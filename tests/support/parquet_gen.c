// SPDX-License-Identifier: Apache-2.0
//
// parquet_gen DIR [SEED]: writes Parquet files that together cover every type, form and encoding of
// the writer, and for each the rows that every reader must find in it, so that tests with other
// readers need no knowledge of how the data came about.
//
//   NAME.parquet  the file
//   NAME.jsonl    first line: [[column name, type, nullable], ...]
//                 then a line per row: an array with one entry per column
//
// Entries: null; true, false; integers, timestamps (µs) and dates (days) as decimal text; floats as
// "0x" and the bits in hex; text as text; binary and UUID as hex; maps as an array of pairs
// [key, value or null].
#include "base/mem.h"
#include "os/os.h"
#include "parquet/writer.h"
#include "tests/support/vector_gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Str created_by = {.ptr = "cardinal version 0.1.0", .len = 22};

static void must(Status st, const Err *err)
{
    if (st != OK) {
        (void)fprintf(stderr, "parquet_gen: %s\n", err->msg);
        exit(1);
    }
}

// ---- JSON

static void put_text(Buf *out, Str s)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        const uint8_t c = (uint8_t)s.ptr[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        } else if (c < 0x20) {
            buf_putf(out, "\\u%04x", c);
        } else {
            buf_put_u8(out, c);
        }
    }
    buf_put_u8(out, '"');
}

static void put_hex(Buf *out, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    buf_put_u8(out, '"');
    for (size_t i = 0; i < n; i++) {
        buf_putf(out, "%02x", p[i]);
    }
    buf_put_u8(out, '"');
}

#define AT(T) (((const T *)v->data)[i])

static void put_row(Buf *out, const Vector *vector, uint32_t row);

static void put_map(Buf *out, const Vector *v, uint32_t i)
{
    buf_put_u8(out, '[');
    for (uint32_t e = v->offsets[i]; e < v->offsets[i + 1]; e++) {
        buf_put_str(out, e == v->offsets[i] ? STR("[") : STR(",["));
        put_row(out, v->keys, e);
        buf_put_u8(out, ',');
        put_row(out, v->values, e);
        buf_put_u8(out, ']');
    }
    buf_put_u8(out, ']');
}

// tidy: allow function-length: one case per type
static void put_flat(Buf *out, const Vector *v, uint32_t i)
{
    uint64_t bits = 0;
    switch (v->type) {
    case COLUMN_BOOL:
        buf_put_str(out, AT(uint8_t) != 0 ? STR("true") : STR("false"));
        return;
    case COLUMN_INT8:
        buf_putf(out, "\"%d\"", AT(int8_t));
        return;
    case COLUMN_INT16:
        buf_putf(out, "\"%d\"", AT(int16_t));
        return;
    case COLUMN_INT32:
    case COLUMN_DATE:
        buf_putf(out, "\"%" PRId32 "\"", AT(int32_t));
        return;
    case COLUMN_INT64:
    case COLUMN_TIMESTAMP:
        buf_putf(out, "\"%" PRId64 "\"", AT(int64_t));
        return;
    case COLUMN_UINT8:
        buf_putf(out, "\"%u\"", AT(uint8_t));
        return;
    case COLUMN_UINT16:
        buf_putf(out, "\"%u\"", AT(uint16_t));
        return;
    case COLUMN_UINT32:
        buf_putf(out, "\"%" PRIu32 "\"", AT(uint32_t));
        return;
    case COLUMN_UINT64:
        buf_putf(out, "\"%" PRIu64 "\"", AT(uint64_t));
        return;
    case COLUMN_FLOAT:
        memcpy(&bits, &AT(float), 4);
        buf_putf(out, "\"0x%08" PRIx64 "\"", bits);
        return;
    case COLUMN_DOUBLE:
        memcpy(&bits, &AT(double), 8);
        buf_putf(out, "\"0x%016" PRIx64 "\"", bits);
        return;
    case COLUMN_STRING:
        put_text(out, vector_flat_str(v, i));
        return;
    case COLUMN_BINARY:
        put_hex(out, vector_flat_str(v, i).ptr, vector_flat_str(v, i).len);
        return;
    case COLUMN_UUID:
        put_hex(out, (const uint8_t *)v->data + (size_t)i * 16, 16);
        return;
    case COLUMN_MAP:
        put_map(out, v, i);
        return;
    }
}

static void put_row(Buf *out, const Vector *vector, uint32_t row)
{
    const Vector *flat = NULL;
    uint32_t index = 0;
    if (vector_locate(vector, row, &flat, &index)) {
        put_flat(out, flat, index);
    } else {
        buf_put_str(out, STR("null"));
    }
}

static void put_schema(Buf *out, const Schema *schema)
{
    buf_put_u8(out, '[');
    for (size_t i = 0; i < schema->count; i++) {
        const Field *f = &schema->fields[i];
        buf_put_str(out, i == 0 ? STR("[") : STR(",["));
        put_text(out, f->name);
        buf_putf(out, ",\"%s\",%s]", column_type_sql(f->type), f->nullable ? "true" : "false");
    }
    buf_put_str(out, STR("]\n"));
}

static void put_rows(Buf *out, const Batch *batch)
{
    for (uint32_t row = 0; row < batch->row_count; row++) {
        buf_put_u8(out, '[');
        for (size_t i = 0; i < batch->schema->count; i++) {
            if (i != 0) {
                buf_put_u8(out, ',');
            }
            put_row(out, &batch->columns[i], row);
        }
        buf_put_str(out, STR("]\n"));
    }
}

// ---- files

static OsFile *create(Str dir, const char *name, const char *suffix)
{
    Err err = {0};
    OsFile *file = NULL;
    Buf path = {0};
    buf_putf(&path, STR_FMT "/%s.%s", STR_ARG(dir), name, suffix);
    (void)os_unlink(os_posix(), buf_str(&path), &err); // may be left from another run
    must(os_file_open(os_posix(), buf_str(&path), OS_OPEN_CREATE_NEW, &file, &err), &err);
    buf_deinit(&path);
    return file;
}

static void write_files(Str dir, const char *name, const Batch *batches, size_t count,
                        const ParquetWriterOptions *options)
{
    Err err = {0};
    Arena arena = {0};
    Buf json = {0};
    ParquetWriter *writer = NULL;
    ParquetFileSummary summary;
    OsFile *file = create(dir, name, "parquet");
    put_schema(&json, batches[0].schema);
    must(parquet_writer_new(file, batches[0].schema, options, &writer, &err), &err);
    parquet_writer_key_value(writer, STR("cardinal.file"), (Str){name, strlen(name)});
    for (size_t i = 0; i < count; i++) {
        must(parquet_writer_row_group(writer, &batches[i], &err), &err);
        put_rows(&json, &batches[i]);
    }
    must(parquet_writer_finish(writer, &arena, &summary, &err), &err);
    parquet_writer_free(writer);
    os_file_close(file);
    file = create(dir, name, "jsonl");
    must(os_file_write_at(file, 0, buf_bytes(&json), &err), &err);
    os_file_close(file);
    (void)printf("%s: %" PRId64 " rows, %" PRIu64 " bytes\n", name, summary.row_count,
                 summary.size_bytes);
    buf_deinit(&json);
    arena_deinit(&arena);
}

// All types in one form and shape, in two row groups.
static void write_types(Str dir, VectorForm form, VectorShape shape, uint32_t null_one_in, Rng *rng)
{
    static const uint32_t row_counts[] = {20000, 700};
    Arena arena = {0};
    Batch batches[ARRAY_LEN(row_counts)];
    Field fields[COLUMN_MAP + 1];
    Vector columns[ARRAY_LEN(row_counts)][COLUMN_MAP + 1];
    ParquetColumnOptions options[COLUMN_MAP + 1] = {0};
    const Schema schema = {.fields = fields, .count = ARRAY_LEN(fields)};
    Str name = {0};
    for (size_t b = 0; b < ARRAY_LEN(row_counts); b++) {
        for (size_t i = 0; i < schema.count; i++) {
            VectorGen gen = {.type = (ColumnType)i,
                             .form = form,
                             .shape = shape,
                             .row_count = row_counts[b],
                             .null_one_in = null_one_in};
            columns[b][i] = vector_gen(rng, &gen, &arena);
            fields[i] = (Field){.name = vector_gen_name(&gen, &arena),
                                .type = gen.type,
                                .nullable = null_one_in != 0};
            options[i].bloom = true;
            gen.type = COLUMN_MAP;
            name = vector_gen_name(&gen, &arena);
        }
        batches[b] = (Batch){.schema = &schema, .columns = columns[b], .row_count = row_counts[b]};
    }
    char file[64];
    const int stem = (int)name.len - 4; // without "_map"
    (void)snprintf(file, sizeof(file), "%.*s%s", stem, name.ptr,
                   null_one_in == 0   ? ""
                   : null_one_in == 1 ? "_nulls"
                                      : "_nullable");
    const ParquetWriterOptions writer = {
        .columns = options, .created_by = created_by, .zstd_level = shape == SHAPE_WALK ? 5 : 0};
    write_files(dir, file, batches, ARRAY_LEN(batches), &writer);
    arena_deinit(&arena);
}

// Each dictionary option for types on which it makes a difference, at levels of zstd that choose
// differently.
static void write_options(Str dir, const char *name, int zstd_level, Rng *rng)
{
    enum { COLUMNS = 9 };
    static const ColumnType types[] = {COLUMN_INT64, COLUMN_DOUBLE, COLUMN_STRING};
    static const ParquetDictionaryUse uses[] = {PARQUET_DICTIONARY_AUTO, PARQUET_DICTIONARY_NEVER,
                                                PARQUET_DICTIONARY_ALWAYS};
    static const char *const use_names[] = {"auto", "never", "always"};
    Arena arena = {0};
    Field fields[COLUMNS];
    Vector columns[COLUMNS];
    ParquetColumnOptions options[COLUMNS] = {0};
    const Schema schema = {.fields = fields, .count = COLUMNS};
    for (size_t i = 0; i < COLUMNS; i++) {
        const VectorGen gen = {
            .type = types[i / 3], .shape = SHAPE_WALK, .row_count = 60000, .null_one_in = 50};
        Buf column = {0};
        columns[i] = vector_gen(rng, &gen, &arena);
        buf_putf(&column, STR_FMT "_%s", STR_ARG(vector_gen_name(&gen, &arena)), use_names[i % 3]);
        fields[i] = (Field){
            .name = arena_str(&arena, buf_str(&column)), .type = gen.type, .nullable = true};
        options[i].dictionary = uses[i % 3];
        buf_deinit(&column);
    }
    const Batch batch = {.schema = &schema, .columns = columns, .row_count = 60000};
    const ParquetWriterOptions writer = {
        .columns = options, .created_by = created_by, .zstd_level = zstd_level};
    write_files(dir, name, &batch, 1, &writer);
    arena_deinit(&arena);
}

// Doubles of several kinds in one chunk, so that its pages differ in encoding.
static void write_mixture(Str dir, Rng *rng)
{
    enum { KINDS = 5, ROWS_EACH = 5 * PARQUET_PAGE_ROWS };
    Arena arena = {0};
    double *data = arena_new(&arena, double, KINDS *ROWS_EACH);
    double state = 70000;
    for (uint32_t i = 0; i < KINDS * ROWS_EACH; i++) {
        state += (double)rng_below(rng, 201) - 100;
        const double noise = (double)(rng_next(rng) >> 11) * 0x1p-53;
        const double by_kind[KINDS] = {state, state / 100, noise, state / 1000, 42.5};
        data[i] = by_kind[i / ROWS_EACH];
    }
    const Vector column = {.type = COLUMN_DOUBLE, .row_count = KINDS * ROWS_EACH, .data = data};
    const Field field = {.name = STR("mixture"), .type = COLUMN_DOUBLE};
    const Schema schema = {.fields = &field, .count = 1};
    const Batch batch = {.schema = &schema, .columns = &column, .row_count = KINDS * ROWS_EACH};
    const ParquetWriterOptions writer = {.created_by = created_by, .zstd_level = 6};
    write_files(dir, "mixture", &batch, 1, &writer);
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: parquet_gen DIR [SEED]\n");
        return 2;
    }
    const Str dir = {.ptr = argv[1], .len = strlen(argv[1])};
    Rng rng = {argc > 2 ? strtoull(argv[2], NULL, 0) : 1};
    for (int form = VECTOR_FLAT; form <= VECTOR_RUNS; form++) {
        for (int shape = SHAPE_CONSTANT; shape < SHAPE_COUNT; shape++) {
            write_types(dir, (VectorForm)form, (VectorShape)shape, 0, &rng);
            write_types(dir, (VectorForm)form, (VectorShape)shape, 4, &rng);
        }
        write_types(dir, (VectorForm)form, SHAPE_RANDOM, 1, &rng);
    }
    write_options(dir, "options_level_1", 1, &rng);
    write_options(dir, "options_level_3", 3, &rng);
    write_options(dir, "options_level_6", 6, &rng);
    write_mixture(dir, &rng);
    return 0;
}
