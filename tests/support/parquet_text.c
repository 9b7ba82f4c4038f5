// SPDX-License-Identifier: Apache-2.0
#include "tests/support/parquet_text.h"

#include "codec/crc.h"

static Status read_memory(void *ctx, uint64_t offset, void *into, size_t n, Err *err)
{
    const Bytes *file = ctx;
    if (offset > file->len || n > file->len - offset) {
        return err_set(err, ERR_IO, "read of %zu bytes at %" PRIu64 " past the end", n, offset);
    }
    if (n > 0) {
        memcpy(into, file->ptr + offset, n);
    }
    return OK;
}

ParquetSource parquet_text_source(const Bytes *file)
{
    union { // only read through, whatever the type says
        const Bytes *in;
        void *out;
    } ctx = {.in = file};
    return (ParquetSource){.read_at = read_memory, .ctx = ctx.out, .size_bytes = file->len};
}

static void put_hex(Buf *out, const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++) {
        buf_put_u8(out, (uint8_t)digits[p[i] >> 4]);
        buf_put_u8(out, (uint8_t)digits[p[i] & 15]);
    }
}

#define AT(T, v, i) (((const T *)(v)->data)[i])

static void put_f32(Buf *out, float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    if (f != f) {
        buf_put_str(out, STR("nan"));
    } else {
        buf_putf(out, "%08x", bits);
    }
}

static void put_f64(Buf *out, double f)
{
    uint64_t bits;
    memcpy(&bits, &f, sizeof(bits));
    if (f != f) {
        buf_put_str(out, STR("nan"));
    } else {
        buf_putf(out, "%016" PRIx64, bits);
    }
}

static void put_map(Buf *out, const Vector *v, uint32_t i)
{
    buf_put_str(out, STR("{"));
    for (uint32_t k = v->offsets[i]; k < v->offsets[i + 1]; k++) {
        if (k > v->offsets[i]) {
            buf_put_str(out, STR(","));
        }
        parquet_text_value(out, v->keys, k);
        buf_put_str(out, STR(":"));
        parquet_text_value(out, v->values, k);
    }
    buf_put_str(out, STR("}"));
}

static void put_flat(Buf *out, const Vector *v, uint32_t i)
{
    switch (v->type) {
    case COLUMN_BOOL:
        buf_put_str(out, AT(uint8_t, v, i) != 0 ? STR("true") : STR("false"));
        break;
    case COLUMN_INT8:
        buf_putf(out, "%d", AT(int8_t, v, i));
        break;
    case COLUMN_INT16:
        buf_putf(out, "%d", AT(int16_t, v, i));
        break;
    case COLUMN_INT32:
    case COLUMN_DATE:
        buf_putf(out, "%d", AT(int32_t, v, i));
        break;
    case COLUMN_INT64:
    case COLUMN_TIMESTAMP:
        buf_putf(out, "%" PRId64, AT(int64_t, v, i));
        break;
    case COLUMN_UINT8:
        buf_putf(out, "%u", AT(uint8_t, v, i));
        break;
    case COLUMN_UINT16:
        buf_putf(out, "%u", AT(uint16_t, v, i));
        break;
    case COLUMN_UINT32:
        buf_putf(out, "%u", AT(uint32_t, v, i));
        break;
    case COLUMN_UINT64:
        buf_putf(out, "%" PRIu64, AT(uint64_t, v, i));
        break;
    case COLUMN_FLOAT:
        put_f32(out, AT(float, v, i));
        break;
    case COLUMN_DOUBLE:
        put_f64(out, AT(double, v, i));
        break;
    case COLUMN_STRING:
    case COLUMN_BINARY:
        put_hex(out, v->bytes + v->offsets[i], v->offsets[i + 1] - v->offsets[i]);
        break;
    case COLUMN_UUID:
        put_hex(out, &AT(uint8_t, v, i * (size_t)16), 16);
        break;
    case COLUMN_MAP:
        put_map(out, v, i);
        break;
    }
}

void parquet_text_value(Buf *out, const Vector *v, uint32_t row)
{
    const Vector *flat = NULL;
    uint32_t index = 0;
    if (vector_locate(v, row, &flat, &index)) {
        put_flat(out, flat, index);
    } else {
        buf_put_str(out, STR("N"));
    }
}

static Status column_text(Buf *out, const ParquetReader *r, size_t field, Err *err)
{
    Status st = OK;
    ParquetScan *scan = NULL;
    Buf text = {0};
    uint64_t rows = 0, nulls = 0;
    uint32_t crc = 0;
    const ParquetScanOptions options = {.fields = &field, .field_count = 1};
    TRY_OUT(parquet_scan_new(r, &options, &scan, err));
    for (;;) {
        Batch batch;
        uint64_t first = 0;
        TRY_OUT(parquet_scan_next(scan, &batch, &first, err));
        if (batch.row_count == 0) {
            break;
        }
        ASSERT(first == rows);
        ASSERT(vector_validate(&batch.columns[0], err) == OK);
        for (uint32_t i = 0; i < batch.row_count; i++) {
            buf_clear(&text);
            parquet_text_value(&text, &batch.columns[0], i);
            nulls += text.len == 1 && text.ptr[0] == 'N';
            buf_put_u8(&text, '\n');
            crc = crc_ieee(crc, buf_bytes(&text));
        }
        rows += batch.row_count;
    }
    buf_putf(out, "%" PRIu64 " nulls, crc %08x", nulls, crc);
out:
    parquet_scan_free(scan);
    buf_deinit(&text);
    return st;
}

void parquet_text_file(Buf *out, const Bytes *file)
{
    Err err;
    ParquetReader *r = NULL;
    if (parquet_reader_open(parquet_text_source(file), &r, &err) != OK) {
        buf_putf(out, "  error: %s\n", err.msg);
        return;
    }
    size_t count = 0;
    const ParquetField *fields = parquet_reader_fields(r, &count);
    buf_putf(out, "  rows %" PRId64 "\n", parquet_reader_meta(r)->row_count);
    for (size_t i = 0; i < count; i++) {
        const ParquetField *f = &fields[i];
        if (!f->readable) {
            buf_putf(out, "  " STR_FMT ": refused, " STR_FMT "\n", STR_ARG(f->field.name),
                     STR_ARG(f->why_not));
            continue;
        }
        buf_putf(out, "  " STR_FMT ": %s, ", STR_ARG(f->field.name),
                 column_type_sql(f->field.type));
        if (column_text(out, r, i, &err) != OK) {
            buf_putf(out, "error: %s", err.msg);
        }
        buf_put_str(out, STR("\n"));
    }
    parquet_reader_free(r);
}
