// SPDX-License-Identifier: Apache-2.0
#include "base/civil.h"
#include "base/mem.h"
#include "parquet/writer.h"
#include "store/flush_internal.h"

#include <stdio.h>

// Files of a flush live for minutes until compaction rewrites them, so speed counts more than size.
enum { FLUSH_ZSTD_LEVEL = 1, STATS_BYTES_MAX = 64 << 20 };

#define CREATED_BY "cardinal version 0.1.0"

struct FlushFile {
    FlushJob *job;
    FlushFileSpec spec;
    Str date;     // "2026-11-21"
    Str folder;   // <table>/date=2026-11-21
    Str log_path; // date=2026-11-21/part-0-<uuid>.parquet
    Str path;
    OsFile *os_file;
    ParquetWriter *writer;
    uint64_t series_count, row_count;
};

// A random (version 4) UUID, RFC 9562 section 5.4.
static void put_uuid(Os *os, char out[static 37])
{
    uint8_t b[16];
    os_random(os, b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0F) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3F) | 0x80);
    size_t n = 0;
    for (size_t i = 0; i < sizeof(b); i++) {
        static const char digits[] = "0123456789abcdef";
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            out[n++] = '-';
        }
        out[n++] = digits[b[i] >> 4];
        out[n++] = digits[b[i] & 15];
    }
    out[n] = 0;
}

static void name_file(FlushFile *file)
{
    Arena *arena = &file->job->arena;
    char uuid[37];
    put_uuid(file->job->table->store->os, uuid);
    Buf text;
    buf_init(&text, 0);
    civil_put_date(&text, file->spec.date);
    file->date = arena_str(arena, buf_str(&text));
    buf_clear(&text);
    buf_putf(&text, TABLE_DATE_COLUMN "=" STR_FMT, STR_ARG(file->date));
    const size_t folder_len = text.len;
    buf_putf(&text, "/part-0-%s.parquet", uuid);
    file->log_path = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    const Str dir = file->job->table->dir;
    file->folder = store_path(arena, dir, str_slice(file->log_path, 0, folder_len));
    file->path = store_path(arena, dir, file->log_path);
}

Status flush_file_open(FlushJob *job, const FlushFileSpec *spec, FlushFile **out, Err *err)
{
    Status st = OK;
    Os *os = job->table->store->os;
    *out = NULL;
    FlushFile *file = mem_new(FlushFile, 1);
    file->job = job;
    file->spec = *spec;
    name_file(file);
    const ParquetWriterOptions options = {.zstd_level = FLUSH_ZSTD_LEVEL,
                                          .columns = spec->columns,
                                          .sorting = spec->sorting,
                                          .sorting_count = spec->sorting_count,
                                          .created_by = STR(CREATED_BY)};
    TRY_OUT(os_mkdir_all(os, file->folder, err));
    TRY_OUT(os_file_open(os, file->path, OS_OPEN_CREATE_NEW, &file->os_file, err));
    TRY_OUT(parquet_writer_new(file->os_file, spec->schema, &options, &file->writer, err));
    *out = file;
    file = NULL;
out:
    flush_file_discard(file);
    return st;
}

Status flush_file_write(FlushFile *file, const Batch *batch, uint64_t series_count, Err *err)
{
    file->series_count += series_count;
    file->row_count += batch->row_count;
    return parquet_writer_row_group(file->writer, batch, err);
}

static void flush_file_free(FlushFile *file)
{
    parquet_writer_free(file->writer);
    os_file_close(file->os_file);
    mem_free(file);
}

void flush_file_discard(FlushFile *file)
{
    if (file == NULL) {
        return;
    }
    Err ignored; // an orphan is harmless: no log names it
    if (file->os_file != NULL) {
        (void)os_unlink(file->job->table->store->os, file->path, &ignored);
    }
    flush_file_free(file);
}

void flush_files_remove(FlushJob *job)
{
    Err ignored; // as above
    Arena scratch;
    arena_init(&scratch, 0);
    for (size_t i = 0; i < job->file_count; i++) {
        const Str path = store_path(&scratch, job->table->dir, job->files[i].path);
        (void)os_unlink(job->table->store->os, path, &ignored);
    }
    arena_deinit(&scratch);
    job->file_count = 0;
}

static void add_file(FlushFile *file, const ParquetFileSummary *summary, Str stats,
                     const FileTags *tags)
{
    FlushJob *job = file->job;
    DeltaKeyValue *partition = arena_new(&job->arena, DeltaKeyValue, 1);
    *partition = (DeltaKeyValue){.key = STR(TABLE_DATE_COLUMN), .value = file->date};
    DeltaFile add = {.path = file->log_path,
                     .partition = partition,
                     .partition_count = 1,
                     .size_bytes = summary->size_bytes,
                     .modified_ms = os_wall_us(job->table->store->os) / 1000,
                     .stats = stats,
                     .row_count = summary->row_count};
    add.tags = file_tags_write(tags, file->spec.sort, &job->arena, &add.tag_count);
    job->files = mem_grow(job->files, &job->file_cap, job->file_count + 1, sizeof(*job->files));
    job->files[job->file_count++] = add;
    job->row_count += (uint64_t)summary->row_count;
    job->size_bytes += summary->size_bytes;
}

// The footer says what the log says, for readers that see the file alone; but for its own hash.
static void put_key_values(FlushFile *file, const FileTags *tags, Arena *arena)
{
    size_t count;
    const DeltaKeyValue *all = file_tags_write(tags, file->spec.sort, arena, &count);
    for (size_t i = 0; i < count; i++) {
        if (!file_tag_is_hash(&all[i])) {
            parquet_writer_key_value(file->writer, all[i].key, all[i].value);
        }
    }
}

Status flush_file_finish(FlushFile *file, Err *err)
{
    Status st = OK;
    Os *os = file->job->table->store->os;
    Arena scratch;
    Buf stats;
    ParquetFileSummary summary;
    FileTags tags = {.present = true,
                     .order = file->job->order,
                     .wal_first = file->job->wal_first,
                     .wal_last = file->job->wal_last,
                     .series_count = file->series_count,
                     .overlap = file->spec.overlap};
    arena_init(&scratch, 0);
    buf_init(&stats, STATS_BYTES_MAX);
    if (file->row_count == 0) { // the rows that were expected were overwritten by others
        goto out;
    }
    put_key_values(file, &tags, &scratch);
    TRY_OUT(parquet_writer_finish(file->writer, &scratch, &summary, err));
    TRY_OUT(os_dir_sync(os, file->folder, err));
    tags.hash = summary.hash;
    file_stats_write(file->spec.schema, &summary, &stats);
    if (!buf_ok(&stats)) {
        st = err_set(err, ERR_TOO_LARGE, "statistics of more than %d bytes", STATS_BYTES_MAX);
        goto out;
    }
    add_file(file, &summary, arena_str(&file->job->arena, buf_str(&stats)), &tags);
    flush_file_free(file);
    file = NULL;
out:
    flush_file_discard(file);
    buf_deinit(&stats);
    arena_deinit(&scratch);
    return st;
}
