// SPDX-License-Identifier: Apache-2.0
//
// Looks at the beginning of a connection before libmicrohttpd does, for the mistakes in a head that
// it answers by itself, in HTML. Everything else about a head is http_call.c's to judge.
#include "base/num.h"
#include "net/http_internal.h"

// The bytes up to the next line feed, without the end of the line; moves *in behind it. False when
// there is none.
static bool next_line(Str *in, Str *line)
{
    if (!str_cut(*in, '\n', line, in)) {
        return false;
    }
    if (line->len > 0 && line->ptr[line->len - 1] == '\r') {
        line->len--;
    }
    return true;
}

static HttpDoor refuse(int status, const char *why)
{
    return (HttpDoor){.verdict = HTTP_DOOR_REFUSE, .status = status, .why = why};
}

static bool is_length(Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return false;
        }
    }
    return s.len > 0;
}

static HttpDoor check_field(Str line)
{
    Str name;
    Str value;
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') { // goes on with the value before
        return (HttpDoor){.verdict = HTTP_DOOR_PASS};
    }
    if (!str_cut(line, ':', &name, &value)) {
        return refuse(400, "a header line has no colon");
    }
    if (name.len == 0) {
        return refuse(400, "a header has no name");
    }
    if (http_str_eq_nocase(name, STR("Content-Length"))) {
        value = http_str_trim(value);
        if (!is_length(value)) {
            return refuse(400, "Content-Length is not a number");
        }
        uint64_t length = 0;
        if (!num_parse_u64(value, &length)) {
            return refuse(413, "Content-Length is far too large");
        }
    }
    return (HttpDoor){.verdict = HTTP_DOOR_PASS};
}

HttpDoor http_door_look(Str in, size_t head_bytes_max)
{
    const bool all_there = in.len <= head_bytes_max; // all that counts, at least
    Str rest = str_slice(in, 0, head_bytes_max);
    Str line = {0};
    do { // empty lines in front of a request are let pass
        if (!next_line(&rest, &line)) {
            return all_there ? (HttpDoor){.verdict = HTTP_DOOR_WAIT}
                             : refuse(414, "the request line is too long");
        }
    } while (line.len == 0);
    for (;;) {
        if (!next_line(&rest, &line)) {
            return all_there ? (HttpDoor){.verdict = HTTP_DOOR_WAIT}
                             : refuse(431, "the head of the request is too large");
        }
        if (line.len == 0) {
            return (HttpDoor){.verdict = HTTP_DOOR_PASS};
        }
        const HttpDoor field = check_field(line);
        if (field.verdict != HTTP_DOOR_PASS) {
            return field;
        }
    }
}
