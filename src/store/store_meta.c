// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "store/json.h"
#include "store/store_internal.h"

#include <stdio.h>

//   {"format":1,"id":"<32 hexadecimal digits>","labels_key":"<16 hexadecimal digits>"}
enum { META_BYTES_MAX = 4096, KEY_DIGITS = 16 };

static bool is_hex(Str s, size_t len)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f'))) {
            return false;
        }
    }
    return s.len == len;
}

static uint64_t parse_hex(Str s)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return v;
}

static Status parse_meta(Str text, Arena *arena, StoreMeta *out, Err *err)
{
    Json json = json_of(text);
    Str key;
    Str id = {0};
    Str labels_key = {0};
    uint64_t format = 0;
    json_object_begin(&json);
    while (json_object_next(&json, arena, &key)) {
        const JsonValue v = json_value(&json, arena);
        if (str_eq(key, STR("format"))) {
            if (v.kind != JSON_NUMBER || !num_parse_u64(v.text, &format)) {
                return err_set(err, ERR_CORRUPT, "'format' is not a number");
            }
        } else if (str_eq(key, STR("id")) && v.kind == JSON_STRING) {
            id = v.text;
        } else if (str_eq(key, STR("labels_key")) && v.kind == JSON_STRING) {
            labels_key = v.text;
        }
    }
    if (!json_end(&json)) {
        return err_set(err, ERR_CORRUPT, "it is not JSON");
    }
    if (format > STORE_FORMAT_VERSION) {
        return err_set(err, ERR_UNSUPPORTED,
                       "format %" PRIu64 " is of a later version; this one knows up to %d", format,
                       STORE_FORMAT_VERSION);
    }
    if (format == 0 || !is_hex(id, STORE_ID_BYTES) || !is_hex(labels_key, KEY_DIGITS)) {
        return err_set(err, ERR_CORRUPT, "'format', 'id' or 'labels_key' is missing or malformed");
    }
    memcpy(out->id, id.ptr, STORE_ID_BYTES);
    out->id[STORE_ID_BYTES] = 0;
    out->labels_key.v = parse_hex(labels_key);
    return OK;
}

// Writes a new store.json beside its place and links it there, so that it is never seen half
// written.
static Status create_meta(Os *os, Str dir, Str path, Err *err)
{
    Status st = OK;
    Arena arena;
    arena_init(&arena, 0);
    OsFile *file = NULL;
    uint64_t random[3];
    char text[256];
    os_random(os, random, sizeof(random));
    const int n = snprintf(text, sizeof(text),
                           "{\"format\":%d,\"id\":\"%016" PRIx64 "%016" PRIx64
                           "\",\"labels_key\":\"%016" PRIx64 "\"}\n",
                           STORE_FORMAT_VERSION, random[0], random[1], random[2]);
    const Str temporary = store_path(&arena, dir, STR("store.json.tmp"));
    TRY_OUT(os_file_open(os, temporary, OS_OPEN_CREATE, &file, err));
    TRY_OUT(os_file_truncate(file, 0, err)); // left over from a crash
    TRY_OUT(os_file_write_at(file, 0, (Bytes){(const uint8_t *)text, (size_t)n}, err));
    TRY_OUT(os_file_sync(file, err));
    TRY_OUT(os_link(os, temporary, path, err));
    TRY_OUT(os_dir_sync(os, dir, err));
    TRY_OUT(os_unlink(os, temporary, err));
out:
    os_file_close(file);
    arena_deinit(&arena);
    return st;
}

Status store_meta_load(Os *os, Str dir, StoreMeta *out, Err *err)
{
    Status st = OK;
    Arena arena;
    arena_init(&arena, 0);
    Bytes bytes = {0};
    const Str path = store_path(&arena, dir, STR("store.json"));
    OsStat stat;
    st = os_stat(os, path, &stat, err);
    if (st == ERR_NOT_FOUND) {
        st = create_meta(os, dir, path, err);
    }
    TRY_OUT(st);
    TRY_OUT(os_read_file(os, path, META_BYTES_MAX, &arena, &bytes, err));
    st = parse_meta((Str){(const char *)bytes.ptr, bytes.len}, &arena, out, err);
    if (st != OK) {
        st = err_prefix(err, "'" STR_FMT "': ", STR_ARG(path));
    }
out:
    arena_deinit(&arena);
    return st;
}
