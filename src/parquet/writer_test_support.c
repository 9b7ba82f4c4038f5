// SPDX-License-Identifier: Apache-2.0
#include "os/sim.h"
#include "parquet/writer_test_internal.h"
#include "tests/support/parquet_text.h"

void written_open(Test *t, const Batch *batches, size_t count, const ParquetWriterOptions *options,
                  Written *out)
{
    Err err = {0};
    OsSim *sim = os_sim_new(t->seed);
    Os *os = os_sim_os(sim);
    OsFile *file = NULL;
    ParquetWriter *writer = NULL;
    *out = (Written){0};
    CHECK_OK(os_file_open(os, STR("f.parquet"), OS_OPEN_CREATE_NEW, &file, &err));
    CHECK_OK(parquet_writer_new(file, batches[0].schema, options, &writer, &err));
    parquet_writer_key_value(writer, STR("level"), STR("0"));
    for (size_t i = 0; i < count; i++) {
        CHECK_OK(parquet_writer_row_group(writer, &batches[i], &err));
    }
    CHECK_OK(parquet_writer_finish(writer, &t->arena, &out->summary, &err));
    parquet_writer_free(writer);
    os_file_close(file);
    // What is there after a power cut is what was synced.
    CHECK_OK(os_dir_sync(os, STR("."), &err));
    os_sim_power_cut(sim);
    CHECK_OK(os_read_file(os, STR("f.parquet"), 1 << 30, &t->arena, &out->bytes, &err));
    os_sim_free(sim);
    Bytes *bytes = arena_new(&t->arena, Bytes, 1);
    *bytes = out->bytes;
    CHECK_OK(parquet_reader_open(parquet_text_source(bytes), &out->reader, &err));
    CHECK_STR(parquet_reader_key_value(out->reader, STR("level")), STR("0"));
}

void written_close(Written *w)
{
    parquet_reader_free(w->reader);
    w->reader = NULL;
}

void written_check_rows(Test *t, const Written *w, const Batch *batches, size_t count)
{
    Err err = {0};
    ParquetScan *scan = NULL;
    const size_t field_count = batches[0].schema->count;
    size_t *fields = arena_new(&t->arena, size_t, field_count);
    for (size_t i = 0; i < field_count; i++) {
        fields[i] = i;
    }
    const ParquetScanOptions options = {.fields = fields, .field_count = field_count};
    CHECK_OK(parquet_scan_new(w->reader, &options, &scan, &err));
    uint32_t group = 0;
    uint32_t row = 0;
    for (;;) {
        Batch got = {0};
        uint64_t first_row = 0;
        CHECK_OK(parquet_scan_next(scan, &got, &first_row, &err));
        if (got.row_count == 0) {
            break;
        }
        CHECK(group < count);
        CHECK(row + got.row_count <= batches[group].row_count);
        for (size_t i = 0; i < field_count; i++) {
            const Vector want =
                vector_slice(&batches[group].columns[i], row, got.row_count, &t->arena);
            CHECK_OK(vector_validate(&got.columns[i], &err));
            if (!vector_equal(&want, &got.columns[i])) {
                test_fail(t, __FILE__, __LINE__,
                          "column " STR_FMT " differs in rows %" PRIu32 " to %" PRIu32
                          " of row group %" PRIu32,
                          STR_ARG(batches[group].schema->fields[i].name), row, row + got.row_count,
                          group);
            }
        }
        row += got.row_count;
        if (row == batches[group].row_count) {
            group++;
            row = 0;
        }
    }
    CHECK_EQ(group, count);
    parquet_scan_free(scan);
}

const ParquetColumnChunk *written_chunk(const Written *w, uint32_t row_group, uint32_t leaf)
{
    return &parquet_reader_meta(w->reader)->row_groups[row_group].columns[leaf];
}

static Bytes slice(const Written *w, int64_t offset, int64_t size)
{
    return (Bytes){.ptr = w->bytes.ptr + offset, .len = (size_t)size};
}

void written_column_index(Test *t, const Written *w, const ParquetColumnChunk *chunk,
                          ParquetColumnIndex *out)
{
    Err err = {0};
    CHECK(chunk->column_index_offset != 0);
    Bytes in = slice(w, chunk->column_index_offset, chunk->column_index_bytes);
    CHECK_OK(parquet_decode_column_index(&in, &t->arena, out, &err));
    CHECK_EQ(in.len, 0);
}

void written_offset_index(Test *t, const Written *w, const ParquetColumnChunk *chunk,
                          ParquetOffsetIndex *out)
{
    Err err = {0};
    CHECK(chunk->offset_index_offset != 0);
    Bytes in = slice(w, chunk->offset_index_offset, chunk->offset_index_bytes);
    CHECK_OK(parquet_decode_offset_index(&in, &t->arena, out, &err));
    CHECK_EQ(in.len, 0);
}

Batch written_batch_of(Test *t, Vector v, bool nullable)
{
    Field *field = arena_new(&t->arena, Field, 1);
    Schema *schema = arena_new(&t->arena, Schema, 1);
    Vector *column = arena_new(&t->arena, Vector, 1);
    *field = (Field){.name = STR("c"), .type = v.type, .nullable = nullable};
    *schema = (Schema){.fields = field, .count = 1};
    *column = v;
    return (Batch){.schema = schema, .columns = column, .row_count = v.row_count};
}

Batch written_batch(Test *t, const VectorGen *gen)
{
    return written_batch_of(t, vector_gen(&t->rng, gen, &t->arena), gen->null_one_in != 0);
}
