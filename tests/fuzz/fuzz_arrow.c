// SPDX-License-Identifier: Apache-2.0
//
// The input is an Arrow IPC stream. Oracles: every vector keeps its promises, and what was read,
// written by us and read again is the same.
#include "base/mem.h"
#include "column/arrow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BATCHES_MAX = 4, ROWS_MAX = 5000 };

typedef struct Stream {
    Batch batches[BATCHES_MAX];
    size_t count;
} Stream;

// Batches whose dictionaries are replaced later are made flat, so that they outlive them.
static Status keep_batch(const Batch *batch, Arena *arena, Stream *out, Err *err)
{
    Vector *columns = arena_new(arena, Vector, batch->schema->count);
    for (size_t i = 0; i < batch->schema->count; i++) {
        ASSERT(vector_validate(&batch->columns[i], err) == OK);
        if (vector_flat_bytes(&batch->columns[i]) > 1 << 20) {
            return err_set(err, ERR_LIMIT, "more than a fuzzer has time for");
        }
        columns[i] = vector_flatten(&batch->columns[i], arena);
    }
    out->batches[out->count++] = (Batch){batch->schema, columns, batch->row_count};
    return OK;
}

static Status read_stream(ArrowReader *r, Bytes in, Arena *arena, Stream *out, Err *err)
{
    Reader stream = reader_of(in);
    *out = (Stream){0};
    while (out->count < BATCHES_MAX) {
        ArrowMessage message = {0};
        Batch batch = {0};
        bool end = false;
        TRY(arrow_message_next(&stream, &message, &end, err));
        if (end) {
            return OK;
        }
        TRY(arrow_reader_message(r, message, arena, &batch, err));
        if (batch.schema != NULL && batch.row_count <= ROWS_MAX) {
            TRY(keep_batch(&batch, arena, out, err));
        }
    }
    return OK;
}

static void write_stream(const Schema *schema, const Stream *s, Buf *out, Err *err)
{
    ArrowWriter *w = arrow_writer_new(schema);
    for (size_t k = 0; k < s->count; k++) {
        ASSERT(arrow_writer_batch(w, &s->batches[k], out, err) == OK);
    }
    ASSERT(arrow_writer_finish(w, out, err) == OK);
    arrow_writer_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Err err = {0};
    Arena arena;
    Stream first;
    Stream second;
    Buf b;
    arena_init(&arena, 0);
    buf_init(&b, 0);
    // A copy of the exact size and of any alignment.
    uint8_t *in = mem_alloc_raw(size + 1);
    if (size > 0) {
        memcpy(in + size % 2, data, size);
    }
    ArrowReader *r = arrow_reader_new();
    ArrowReader *again = arrow_reader_new();
    (void)read_stream(r, (Bytes){in + size % 2, size}, &arena, &first, &err); // what there was
    const Schema *schema = arrow_reader_schema(r);
    if (schema != NULL) {
        write_stream(schema, &first, &b, &err);
        ASSERT(read_stream(again, buf_bytes(&b), &arena, &second, &err) == OK);
        ASSERT(second.count == first.count);
        for (size_t k = 0; k < first.count; k++) {
            for (size_t i = 0; i < schema->count; i++) {
                ASSERT(vector_equal(&first.batches[k].columns[i], &second.batches[k].columns[i]));
            }
        }
    }
    arrow_reader_free(again);
    arrow_reader_free(r);
    mem_free(in);
    buf_deinit(&b);
    arena_deinit(&arena);
    return 0;
}
