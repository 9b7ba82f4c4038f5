// SPDX-License-Identifier: Apache-2.0
#include "store/delta_internal.h"

#include "base/num.h"
#include "base/utf8.h"

#include <stdio.h>

#define TEMP_PREFIX ".tmp-"

static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("-_.~/=", c) != NULL);
}

void delta_put_path(Str path, Buf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < path.len; i++) {
        const uint8_t c = (uint8_t)path.ptr[i];
        if (is_plain(c)) {
            buf_put_u8(out, c);
        } else {
            buf_put_u8(out, '%');
            buf_put_u8(out, (uint8_t)hex[c >> 4]);
            buf_put_u8(out, (uint8_t)hex[c & 15]);
        }
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_scheme_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '-' || c == '.';
}

// RFC 3986, 2.1. A '%' that begins no such triple is an error.
static bool decode(Str in, char *out, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '%') {
            const int hi = i + 2 < in.len ? hex_digit(in.ptr[i + 1]) : -1;
            const int lo = i + 2 < in.len ? hex_digit(in.ptr[i + 2]) : -1;
            if (hi < 0 || lo < 0) {
                return false;
            }
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        if (c == 0) {
            return false;
        }
        out[(*len)++] = c;
    }
    return true;
}

// Whether the path begins at the root or with a scheme ("s3:...", RFC 3986, 3.1).
static bool is_absolute(Str path)
{
    size_t i = 0;
    while (i < path.len && is_scheme_char(path.ptr[i])) {
        i++;
    }
    return path.ptr[0] == '/' || (i > 0 && i < path.len && path.ptr[i] == ':');
}

static bool has_dots(Str path)
{
    Str rest = path;
    Str part = {0};
    bool more = true;
    while (more) {
        more = str_cut(rest, '/', &part, &rest);
        part = more ? part : rest;
        if (part.len == 0 || str_eq(part, STR(".")) || str_eq(part, STR(".."))) {
            return true;
        }
    }
    return false;
}

Status delta_check_path(Str encoded, Arena *arena, Str *out, Err *err)
{
    *out = (Str){0};
    if (encoded.len == 0 || encoded.len > (size_t)3 * DELTA_PATH_MAX) {
        return err_set(err, ERR_CORRUPT, "path of %zu bytes", encoded.len);
    }
    if (is_absolute(encoded)) {
        return err_set(err, ERR_UNSUPPORTED, "absolute path '" STR_FMT "'", STR_ARG(encoded));
    }
    char *text = arena_new(arena, char, encoded.len);
    size_t len = 0;
    if (!decode(encoded, text, &len) || len > DELTA_PATH_MAX ||
        !utf8_is_valid((Str){.ptr = text, .len = len})) {
        return err_set(err, ERR_CORRUPT, "path '" STR_FMT "' is not well-formed", STR_ARG(encoded));
    }
    const Str path = {.ptr = text, .len = len};
    if (has_dots(path)) {
        return err_set(err, ERR_UNSUPPORTED, "path '" STR_FMT "' does not stay in the table",
                       STR_ARG(encoded));
    }
    *out = path;
    return OK;
}

static bool parse_name(Str name, Str suffix, uint64_t *version)
{
    if (name.len != DELTA_NAME_DIGITS + suffix.len ||
        !str_eq(str_slice(name, DELTA_NAME_DIGITS, name.len), suffix)) {
        return false;
    }
    for (size_t i = 0; i < DELTA_NAME_DIGITS; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9') {
            return false;
        }
    }
    return num_parse_u64(str_slice(name, 0, DELTA_NAME_DIGITS), version) && *version <= INT64_MAX;
}

bool delta_parse_commit_name(Str name, uint64_t *version)
{
    return parse_name(name, STR(".json"), version);
}

bool delta_parse_checkpoint_name(Str name, uint64_t *version)
{
    return parse_name(name, STR(".checkpoint.parquet"), version);
}

Str delta_path(Arena *arena, Str dir, Str name)
{
    static const Str log = STR("/_delta_log/");
    char *path = arena_new(arena, char, dir.len + log.len + name.len + 1);
    memcpy(path, dir.ptr, dir.len);
    memcpy(path + dir.len, log.ptr, log.len);
    if (name.len > 0) {
        memcpy(path + dir.len + log.len, name.ptr, name.len);
    }
    return (Str){.ptr = path, .len = dir.len + log.len + name.len};
}

static Str version_path(Arena *arena, Str dir, uint64_t version, const char *suffix)
{
    char name[64];
    const int n = snprintf(name, sizeof(name), "%020" PRIu64 "%s", version, suffix);
    ASSERT(n > 0 && (size_t)n < sizeof(name));
    return delta_path(arena, dir, (Str){.ptr = name, .len = (size_t)n});
}

Str delta_commit_path(Arena *arena, Str dir, uint64_t version)
{
    return version_path(arena, dir, version, ".json");
}

Str delta_checkpoint_path(Arena *arena, Str dir, uint64_t version)
{
    return version_path(arena, dir, version, ".checkpoint.parquet");
}

Str delta_temp_path(Arena *arena, Str dir, Str id)
{
    char name[sizeof(TEMP_PREFIX) + DELTA_UUID_CHARS];
    const int n = snprintf(name, sizeof(name), TEMP_PREFIX STR_FMT, STR_ARG(id));
    ASSERT(n > 0 && (size_t)n < sizeof(name));
    return delta_path(arena, dir, (Str){.ptr = name, .len = (size_t)n});
}

bool delta_is_temp_name(Str name)
{
    return str_eq(str_slice(name, 0, sizeof(TEMP_PREFIX) - 1), STR(TEMP_PREFIX));
}

DeltaUuid delta_uuid(Os *os)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[16];
    DeltaUuid out;
    os_random(os, bytes, sizeof(bytes));
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); // RFC 9562, version 4
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    size_t n = 0;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            out.text[n++] = '-';
        }
        out.text[n++] = hex[bytes[i] >> 4];
        out.text[n++] = hex[bytes[i] & 15];
    }
    return out;
}
