// SPDX-License-Identifier: Apache-2.0
#include "codec/crc.h"
#include "parquet/reader_test_internal.h"
#include "tests/support/parquet_text.h"

void made_begin(Test *t, Made *m, int64_t row_count)
{
    *m = (Made){.t = t, .row_count = row_count, .element_count = 1};
    m->elements[0] =
        (ParquetSchemaElement){.name = STR("root"), .converted = PARQUET_CONVERTED_NONE};
    buf_init(&m->file, 0);
    buf_put_str(&m->file, STR("PAR1"));
}

void made_element(Made *m, const ParquetSchemaElement *e)
{
    ASSERT(m->element_count < MADE_ELEMENTS_MAX);
    m->elements[m->element_count++] = *e;
    if (e->has_type) {
        m->chunks[m->leaf_count++] =
            (ParquetColumnChunk){.type = e->type, .encodings = 1 << PARQUET_PLAIN};
    }
}

void made_column(Made *m, ParquetPhysical type, ParquetRepetition repetition)
{
    made_element(m, &(ParquetSchemaElement){.name = STR("c"),
                                            .has_type = true,
                                            .type = type,
                                            .repetition = repetition,
                                            .converted = PARQUET_CONVERTED_NONE});
}

void made_page(Made *m, uint32_t leaf, ParquetPageHeader header, Bytes body)
{
    ParquetColumnChunk *c = &m->chunks[leaf];
    const size_t before = m->file.len;
    header.compressed_bytes = (int32_t)body.len;
    if (header.uncompressed_bytes == 0) {
        header.uncompressed_bytes = (int32_t)body.len;
    }
    if (header.has_crc) {
        header.crc ^= crc_ieee(0, body); // a crc in the header spoils it
    }
    parquet_encode_page_header(&header, &m->file);
    buf_put(&m->file, body.ptr, body.len);
    if (header.type == PARQUET_DICTIONARY_PAGE) {
        c->dictionary_page_offset = (int64_t)before;
    } else if (header.type != PARQUET_INDEX_PAGE) {
        c->data_page_offset = c->data_page_offset == 0 ? (int64_t)before : c->data_page_offset;
        c->value_count += header.value_count;
    }
    c->compressed_bytes += (int64_t)(m->file.len - before);
    c->uncompressed_bytes = c->compressed_bytes;
}

void made_v1(Made *m, uint32_t leaf, int32_t value_count, ParquetEncoding encoding, Bytes def,
             Bytes values)
{
    Buf body;
    buf_init(&body, 0);
    if (def.len > 0) {
        buf_put_u32le(&body, (uint32_t)def.len);
        buf_put(&body, def.ptr, def.len);
    }
    buf_put(&body, values.ptr, values.len);
    made_page(m, leaf,
              (ParquetPageHeader){.type = PARQUET_DATA_PAGE,
                                  .value_count = value_count,
                                  .encoding = encoding,
                                  .def_encoding = PARQUET_RLE,
                                  .rep_encoding = PARQUET_RLE},
              buf_bytes(&body));
    buf_deinit(&body);
}

void made_dictionary(Made *m, uint32_t leaf, int32_t value_count, Bytes values)
{
    made_page(m, leaf,
              (ParquetPageHeader){.type = PARQUET_DICTIONARY_PAGE,
                                  .value_count = value_count,
                                  .encoding = PARQUET_PLAIN},
              values);
}

void made_finish(Made *m)
{
    // Children of the root: what is not below another group.
    uint32_t below = 0;
    for (uint32_t i = 1; i < m->element_count; i++) {
        below += (uint32_t)m->elements[i].child_count;
    }
    m->elements[0].child_count = (int32_t)(m->element_count - 1 - below);
    const ParquetRowGroup group = {
        .columns = m->chunks, .column_count = m->leaf_count, .row_count = m->row_count};
    const ParquetFileMeta meta = {.version = 1,
                                  .schema = m->elements,
                                  .schema_count = m->element_count,
                                  .row_count = m->row_count,
                                  .row_groups = &group,
                                  .row_group_count = 1,
                                  .created_by = m->created_by};
    for (uint32_t i = 0; i < m->leaf_count; i++) {
        m->chunks[i].codec = m->codec;
    }
    const size_t before = m->file.len;
    parquet_encode_file_meta(&meta, &m->file);
    buf_put_u32le(&m->file, (uint32_t)(m->file.len - before));
    buf_put_str(&m->file, STR("PAR1"));
    const Str copy = arena_str(&m->t->arena, buf_str(&m->file));
    m->bytes = (Bytes){.ptr = (const uint8_t *)copy.ptr, .len = copy.len};
    buf_deinit(&m->file);
}

static Status read_all(const ParquetReader *r, const ParquetScanOptions *options, Buf *out,
                       VectorForm *form, Err *err)
{
    Status st = OK;
    ParquetScan *scan = NULL;
    bool first_batch = true;
    TRY_OUT(parquet_scan_new(r, options, &scan, err));
    for (;;) {
        Batch batch;
        uint64_t first = 0;
        TRY_OUT(parquet_scan_next(scan, &batch, &first, err));
        if (batch.row_count == 0) {
            break;
        }
        TRY_OUT(vector_validate(&batch.columns[0], err));
        if (first_batch && form != NULL) {
            *form = batch.columns[0].form;
        }
        for (uint32_t i = 0; i < batch.row_count; i++) {
            buf_put_str(out, out->len > 0 ? STR(",") : STR(""));
            parquet_text_value(out, &batch.columns[0], i);
        }
        first_batch = false;
    }
out:
    parquet_scan_free(scan);
    return st;
}

static Str read_text(Made *m, const ParquetScanOptions *options, VectorForm *form)
{
    Err err = {0};
    Buf out;
    ParquetReader *r = NULL;
    buf_init(&out, 0);
    Status st = parquet_reader_open(parquet_text_source(&m->bytes), &r, &err);
    if (st == OK) {
        st = read_all(r, options, &out, form, &err);
    }
    if (st != OK) {
        buf_clear(&out);
        buf_putf(&out, "error: %s", err.msg);
    }
    parquet_reader_free(r);
    const Str copy = arena_str(&m->t->arena, buf_str(&out));
    buf_deinit(&out);
    return copy;
}

Str made_read(Made *m, size_t field, uint32_t batch_rows, VectorForm *form)
{
    return read_text(
        m, &(ParquetScanOptions){.fields = &field, .field_count = 1, .batch_rows = batch_rows},
        form);
}

Str made_read_rows(Made *m, size_t field, ParquetRowRange rows)
{
    return read_text(
        m,
        &(ParquetScanOptions){
            .fields = &field, .field_count = 1, .row_ranges = &rows, .row_range_count = 1},
        NULL);
}
