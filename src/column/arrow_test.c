// SPDX-License-Identifier: Apache-2.0
#include "column/arrow.h"
#include "column/builder.h"
#include "column/vectors_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCHES_MAX = 8 };

// What a stream holds. Batches live in the arena of the test.
typedef struct Stream {
    Status status;
    const Schema *schema;
    Batch batches[BATCHES_MAX];
    size_t count;
} Stream;

static Batch copy_batch(Test *t, const Batch *b)
{
    Vector *columns = arena_new(&t->arena, Vector, b->schema->count);
    for (size_t i = 0; i < b->schema->count; i++) {
        // The dictionary is valid until the next message only.
        columns[i] = vector_flatten(&b->columns[i], &t->arena);
    }
    return (Batch){b->schema, columns, b->row_count};
}

static Status read_stream(Test *t, ArrowReader *r, Bytes in, Stream *out, Err *err)
{
    Reader stream = reader_of(in);
    bool end = false;
    *out = (Stream){0};
    for (;;) {
        ArrowMessage message;
        Batch batch;
        TRY(arrow_message_next(&stream, &message, &end, err));
        if (end) {
            break;
        }
        TRY(arrow_reader_message(r, message, &t->arena, &batch, err));
        for (size_t i = 0; batch.schema != NULL && i < batch.schema->count; i++) {
            TRY(vector_validate(&batch.columns[i], err));
        }
        if (batch.schema != NULL && out->count < BATCHES_MAX) {
            out->batches[out->count++] = copy_batch(t, &batch);
        }
    }
    out->schema = arrow_reader_schema(r);
    return OK;
}

#define X(name, sql, size) name,
static const ColumnType types[] = {COLUMN_TYPE_LIST(X)};
#undef X

// One column of every type, called after it.
static Schema schema_of_all(Test *t)
{
    Field *fields = arena_new(&t->arena, Field, ARRAY_LEN(types));
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const char *name = column_type_sql(types[i]);
        fields[i] = (Field){.name = {name, strlen(name)}, .type = types[i], .nullable = i % 2 == 0};
    }
    return (Schema){fields, ARRAY_LEN(types)};
}

TEST(arrow, round_trip)
{
    Err err;
    for (int round = 0; round < 60; round++) {
        const Schema schema = schema_of_all(t);
        Batch batches[3];
        const size_t count = test_random(t) % (ARRAY_LEN(batches) + 1);
        Buf b;
        buf_init(&b, 0);
        ArrowWriter *w = arrow_writer_new(&schema);
        for (size_t k = 0; k < count; k++) {
            Vector *columns = arena_new(&t->arena, Vector, schema.count);
            const uint32_t rows = (uint32_t)(test_random(t) % 200);
            const uint32_t cut = (uint32_t)(test_random(t) % 70);
            for (size_t i = 0; i < schema.count; i++) {
                const VectorForm form = (VectorForm)(test_random(t) % 3);
                const Vector whole = vectors_random(t, types[i], form, rows + cut);
                columns[i] = vector_slice(&whole, cut, rows, &t->arena);
            }
            batches[k] = (Batch){&schema, columns, rows};
            CHECK_OK(arrow_writer_batch(w, &batches[k], &b, &err));
        }
        CHECK_OK(arrow_writer_finish(w, &b, &err));
        arrow_writer_free(w);
        // Buffers that are not aligned, and of the exact size.
        uint8_t *in = arena_new(&t->arena, uint8_t, b.len + 8) + 8 - (size_t)round % 8;
        memcpy(in, b.ptr, b.len);
        ArrowReader *r = arrow_reader_new();
        Stream got;
        CHECK_OK(read_stream(t, r, (Bytes){in, b.len}, &got, &err));
        CHECK_EQ(got.count, count);
        CHECK_EQ(got.schema->count, schema.count);
        for (size_t i = 0; i < schema.count; i++) {
            CHECK_STR(got.schema->fields[i].name, schema.fields[i].name);
            CHECK_EQ(got.schema->fields[i].type, schema.fields[i].type);
            CHECK_EQ(got.schema->fields[i].nullable, schema.fields[i].nullable);
            for (size_t k = 0; k < count; k++) {
                CHECK_EQ(got.batches[k].row_count, batches[k].row_count);
                CHECK(vector_equal(&got.batches[k].columns[i], &batches[k].columns[i]));
            }
        }
        arrow_reader_free(r);
        buf_deinit(&b);
        arena_reset(&t->arena);
    }
    arrow_reader_free(NULL);
    arrow_writer_free(NULL);
}

// A dictionary that stays the same is written once.
TEST(arrow, dictionary_is_not_repeated)
{
    Err err;
    const Field field = {STR("pod"), COLUMN_STRING, true};
    const Schema schema = {&field, 1};
    const Vector v = vector_constant_str(COLUMN_STRING, STR("pod-1"), 100000, &t->arena);
    const Vector other = vector_constant_str(COLUMN_STRING, STR("pod-2"), 100000, &t->arena);
    ArrowWriter *w = arrow_writer_new(&schema);
    Buf b;
    buf_init(&b, 0);
    CHECK_OK(arrow_writer_batch(w, &(Batch){&schema, &v, v.row_count}, &b, &err));
    const size_t first = b.len;
    CHECK_OK(arrow_writer_batch(w, &(Batch){&schema, &v, v.row_count}, &b, &err));
    const size_t second = b.len - first;
    CHECK_OK(arrow_writer_batch(w, &(Batch){&schema, &other, v.row_count}, &b, &err));
    CHECK(second < first && b.len - first - second > second);
    arrow_writer_free(w);
    buf_deinit(&b);
}

TEST(arrow, writer_limits)
{
    Err err;
    const Field field = {STR("s"), COLUMN_STRING, true};
    const Schema schema = {&field, 1};
    const Vector flat = vectors_random(t, COLUMN_STRING, VECTOR_FLAT, 10);
    ArrowWriter *w = arrow_writer_new(&schema);
    Buf b;
    buf_init(&b, 100);
    CHECK_EQ(arrow_writer_batch(w, &(Batch){&schema, &flat, 10}, &b, &err), ERR_LIMIT);
    buf_deinit(&b);
    buf_init(&b, 0);
    // A flat column by its first batch; this one would be 4 GB.
    char *text = arena_new(&t->arena, char, 1 << 20);
    const Vector huge = vector_constant_str(COLUMN_STRING, (Str){text, 1 << 20}, 4096, &t->arena);
    CHECK_EQ(arrow_writer_batch(w, &(Batch){&schema, &huge, 4096}, &b, &err), ERR_LIMIT);
    buf_deinit(&b);
    arrow_writer_free(w);
}

// ---- files

static Bytes golden_bytes(Test *t, const char *path)
{
    char full[512];
    const char *root = getenv("CARDINAL_SOURCE_ROOT"); // NOLINT(concurrency-mt-unsafe)
    (void)snprintf(full, sizeof(full), "%s/tests/golden/%s", root != NULL ? root : ".", path);
    FILE *f = fopen(full, "rb");
    CHECK(f != NULL);
    uint8_t *p = arena_new(&t->arena, uint8_t, 1 << 16);
    const size_t len = fread(p, 1, 1 << 16, f);
    (void)fclose(f);
    return (Bytes){p, len};
}

static Batch golden_batch(Test *t, const Schema *schema, Builder **builders, bool second)
{
    static const uint8_t uuid[16] = {0x55, 0x0e, 0x84, 0x00, 0xe2, 0x9b, 0x41, 0xd4,
                                     0xa7, 0x16, 0x44, 0x66, 0x55, 0x44, 0x00, 0x00};
    Vector *columns = arena_new(&t->arena, Vector, schema->count);
    for (size_t i = 0; i < schema->count; i++) {
        Builder *b = builders[i];
        const ColumnType type = schema->fields[i].type;
        for (int row = 0; row < 5; row++) {
            const Str text[] = {STR("api"), STR("\xc3\xa4gypten"), STR(""), STR("api"), STR("x")};
            const Str keys[] = {STR("a"), STR("b")};
            if (row == (second ? 4 : 1) && schema->fields[i].nullable) {
                builder_null(b);
            } else if (type == COLUMN_STRING || type == COLUMN_BINARY) {
                builder_str(b, text[second ? 4 - row : row]);
            } else if (type == COLUMN_MAP) {
                builder_map(b, keys, text + row % 3, (size_t)row % 3);
            } else if (type == COLUMN_UUID) {
                builder_uuid(b, uuid);
            } else if (type == COLUMN_BOOL) {
                builder_bool(b, row % 2 == 0);
            } else if (type == COLUMN_FLOAT || type == COLUMN_DOUBLE) {
                builder_f64(b, row * 1.5);
            } else if (type == COLUMN_TIMESTAMP) {
                builder_i64(b, INT64_C(1795000000000000) + row);
            } else if (type == COLUMN_DATE) {
                builder_i64(b, 20000 + row);
            } else {
                builder_u64(b, (uint64_t)row * 25);
            }
        }
        columns[i] = builder_vector(b);
    }
    return (Batch){schema, columns, 5};
}

// Our own files, byte for byte: a change of the format is a decision, not an accident. pyarrow
// and Arrow JS read them: tests/golden/arrow/README.md.
TEST(arrow, golden)
{
    Err err;
    const Schema schema = schema_of_all(t);
    Builder *builders[2][ARRAY_LEN(types)];
    Batch want[2];
    Buf b;
    buf_init(&b, 0);
    ArrowWriter *w = arrow_writer_new(&schema);
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < schema.count; i++) {
            builders[k][i] = builder_new(types[i]);
        }
        want[k] = golden_batch(t, &schema, builders[k], k == 1);
        CHECK_OK(arrow_writer_batch(w, &want[k], &b, &err));
    }
    CHECK_OK(arrow_writer_finish(w, &b, &err));
    arrow_writer_free(w);
    CHECK_GOLDEN("arrow/all_types.arrows", buf_str(&b));

    ArrowReader *r = arrow_reader_new();
    Stream got;
    CHECK_OK(read_stream(t, r, golden_bytes(t, "arrow/all_types.arrows"), &got, &err));
    CHECK_EQ(got.count, 2);
    for (size_t i = 0; i < schema.count; i++) {
        for (size_t k = 0; k < 2; k++) {
            CHECK(vector_equal(&got.batches[k].columns[i], &want[k].columns[i]));
            builder_free(builders[k][i]);
        }
    }
    arrow_reader_free(r);
    buf_deinit(&b);
}

// One column of strings in every form; the second batch turns the forms around, so that
// dictionaries are replaced, made from flat strings, and flattened.
TEST(arrow, golden_forms)
{
    Err err;
    static const uint32_t offsets[] = {0, 1, 3, 6};
    static const uint32_t ends[] = {2, 3, 5};
    static const uint64_t middle_null = 5;
    static const uint32_t codes[] = {2, 0, 0, 1, 2};
    static const uint64_t last_null = 15;
    static const Vector abc = {COLUMN_STRING, .row_count = 3, .offsets = offsets,
                               .bytes = (const uint8_t *)"abbccc"};
    static const Vector hole = {COLUMN_STRING, .row_count = 3, .offsets = offsets,
                                .validity = &middle_null,
                                .bytes = (const uint8_t *)"a\xff\xff"
                                                          "ccc"};
    static const Vector dict = {COLUMN_STRING,          VECTOR_DICT, 5, .codes = codes,
                                .validity = &last_null, .dict = &abc};
    static const Vector runs = {COLUMN_STRING, VECTOR_RUNS, 5, 3, .run_ends = ends, .runs = &hole};
    const Vector flat = vector_flatten(&dict, &t->arena);
    static const Field fields[] = {{STR("flat"), COLUMN_STRING, true},
                                   {STR("dict"), COLUMN_STRING, true},
                                   {STR("runs"), COLUMN_STRING, true}};
    const Schema schema = {fields, 3};
    const Vector first[] = {flat, dict, runs};
    const Vector second[] = {runs, flat, dict};
    Buf b;
    buf_init(&b, 0);
    ArrowWriter *w = arrow_writer_new(&schema);
    CHECK_OK(arrow_writer_batch(w, &(Batch){&schema, first, 5}, &b, &err));
    CHECK_OK(arrow_writer_batch(w, &(Batch){&schema, second, 5}, &b, &err));
    CHECK_OK(arrow_writer_finish(w, &b, &err));
    arrow_writer_free(w);
    CHECK_GOLDEN("arrow/forms.arrows", buf_str(&b));
    buf_deinit(&b);

    ArrowReader *r = arrow_reader_new();
    Stream got;
    CHECK_OK(read_stream(t, r, golden_bytes(t, "arrow/forms.arrows"), &got, &err));
    CHECK_EQ(got.count, 2);
    for (size_t i = 0; i < 3; i++) {
        CHECK(vector_equal(&got.batches[0].columns[i], &first[i]));
        CHECK(vector_equal(&got.batches[1].columns[i], &second[i]));
    }
    arrow_reader_free(r);
}

// A file by pyarrow with what we read but never write; see tools/gen_arrow_golden.py.
TEST(arrow, reads_foreign_types)
{
    Err err;
    ArrowReader *r = arrow_reader_new();
    Stream s;
    CHECK_OK(read_stream(t, r, golden_bytes(t, "arrow/pyarrow.arrows"), &s, &err));
    CHECK_EQ(s.count, 2);
    const Batch *b = &s.batches[0];
    CHECK_EQ(b->row_count, 3);
    static const struct {
        const char *name;
        ColumnType type;
    } columns[] = {{"ts_s", COLUMN_TIMESTAMP}, {"ts_ns", COLUMN_TIMESTAMP},
                   {"date64", COLUMN_DATE},    {"large", COLUMN_STRING},
                   {"fixed", COLUMN_BINARY},   {"codes8", COLUMN_STRING},
                   {"map", COLUMN_MAP},        {"repeated", COLUMN_STRING}};
    const Vector *v[ARRAY_LEN(columns)];
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        const size_t at = schema_find(s.schema, (Str){columns[i].name, strlen(columns[i].name)});
        CHECK(at != SIZE_MAX && s.schema->fields[at].type == columns[i].type);
        v[i] = &b->columns[at];
    }
    CHECK_EQ(((const int64_t *)v[0]->data)[0], INT64_C(1700000000000000));
    CHECK_EQ(((const int64_t *)v[1]->data)[0], -1); // -1 ns, rounded down
    CHECK(!validity_get(v[1]->validity, 1));
    CHECK_EQ(((const int32_t *)v[2]->data)[2], 20000);
    CHECK_STR(vector_flat_str(v[3], 2), STR("\xe2\x82\xac"));
    CHECK_STR(vector_flat_str(v[4], 0), STR("abc"));
    CHECK_STR(vector_flat_str(v[5], 1), STR("y"));
    CHECK(!validity_get(v[5]->validity, 2));
    // {"b": "1", "a": "2", "b": "3"} comes in order, the last "b" wins.
    CHECK_EQ(v[6]->offsets[1], 2);
    CHECK_STR(vector_flat_str(v[6]->keys, 0), STR("a"));
    CHECK_STR(vector_flat_str(v[6]->values, 1), STR("3"));
    // Its dictionary holds a null and a value twice.
    CHECK_STR(vector_flat_str(v[7], 0), STR("q"));
    CHECK(!validity_get(v[7]->validity, 1));
    CHECK_STR(vector_flat_str(v[7], 2), STR("q"));
    arrow_reader_free(r);
}

// ---- hostile input

TEST(arrow, refuses)
{
    static const struct {
        const char *why;
        Str in;
        Status want;
    } cases[] = {
        {"nothing", {"", 0}, OK},
        {"only the end", STR("\xff\xff\xff\xff\0\0\0\0"), OK},
        {"size cut", STR("\xff\xff\xff\xff\x10"), ERR_INVALID},
        {"header cut", STR("\xff\xff\xff\xff\x10\0\0\0\x04\0\0\0"), ERR_INVALID},
        {"root outside", STR("\xff\xff\xff\xff\x08\0\0\0\xf0\0\0\0\0\0\0\0"), ERR_INVALID},
        {"header of 2 GiB", STR("\xff\xff\xff\xff\xff\xff\xff\x7f"), ERR_INVALID},
        {"a file, not a stream", STR("ARROW1\0\0\xff\xff\xff\xff"), ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        Stream s;
        ArrowReader *r = arrow_reader_new();
        const Bytes in = {(const uint8_t *)cases[i].in.ptr, cases[i].in.len};
        const Status st = read_stream(t, r, in, &s, &err);
        arrow_reader_free(r);
        if (st != cases[i].want) {
            test_fail(t, __FILE__, __LINE__, "%s: status %d", cases[i].why, (int)st);
        }
    }
}

// The rows of a batch and of its columns are one number.
TEST(arrow, lengths_that_differ)
{
    Err err;
    const Field field = {STR("v"), COLUMN_INT64, false};
    const Schema schema = {&field, 1};
    static const int64_t values[5] = {1, 2, 3, 4, 6};
    const Vector v = {.type = COLUMN_INT64, .row_count = 5, .data = values};
    Buf b;
    buf_init(&b, 0);
    ArrowWriter *w = arrow_writer_new(&schema);
    CHECK_OK(arrow_writer_batch(w, &(Batch){&schema, &v, 5}, &b, &err));
    arrow_writer_free(w);
    int changed = 0;
    for (size_t i = 0; i + 8 <= b.len; i += 4) {
        static const uint8_t five[8] = {5};
        for (uint8_t other = 4; other <= 6 && memcmp(b.ptr + i, five, 8) == 0; other += 2) {
            Stream s;
            ArrowReader *r = arrow_reader_new();
            b.ptr[i] = other;
            CHECK_EQ(read_stream(t, r, buf_bytes(&b), &s, &err), ERR_INVALID);
            b.ptr[i] = 5;
            arrow_reader_free(r);
            changed++;
        }
    }
    CHECK_EQ(changed, 4); // the length of the batch, and that of the column
    buf_deinit(&b);
}

// Files with bytes changed: an error, or vectors that keep their promises (read_stream looks).
TEST(arrow, mutated_files)
{
    static const char *paths[] = {"arrow/all_types.arrows", "arrow/pyarrow.arrows"};
    for (int round = 0; round < 20000; round++) {
        Err err;
        Stream s;
        const Bytes file = golden_bytes(t, paths[round % 2]);
        const size_t len = test_random(t) % 8 == 0 ? test_random(t) % file.len : file.len;
        uint8_t *in = arena_new(&t->arena, uint8_t, len);
        memcpy(in, file.ptr, len);
        for (uint64_t k = 1 + test_random(t) % 3; k > 0 && len > 0; k--) {
            static const uint8_t values[] = {0, 1, 4, 8, 0x7f, 0x80, 0xff};
            const uint64_t r = test_random(t);
            in[r % len] = r >> 32 & 1 ? (uint8_t)(r >> 40) : values[(r >> 40) % ARRAY_LEN(values)];
        }
        ArrowReader *r = arrow_reader_new();
        const Status st = read_stream(t, r, (Bytes){in, len}, &s, &err);
        CHECK(st == OK || st == ERR_INVALID || st == ERR_UNSUPPORTED || st == ERR_LIMIT);
        arrow_reader_free(r);
        arena_reset(&t->arena);
    }
}
