// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "codec/inflate.h"
#include "net/http_internal.h"

const char *http_method_text(HttpMethod method)
{
    switch (method) {
    case HTTP_GET:
        return "GET";
    case HTTP_HEAD:
        return "HEAD";
    case HTTP_POST:
        return "POST";
    case HTTP_PUT:
        return "PUT";
    case HTTP_DELETE:
        return "DELETE";
    case HTTP_OPTIONS:
        return "OPTIONS";
    case HTTP_PATCH:
        return "PATCH";
    }
    UNREACHABLE();
}

bool http_method_parse(Str text, HttpMethod *out)
{
    static const HttpMethod all[] = {HTTP_GET,    HTTP_HEAD,    HTTP_POST, HTTP_PUT,
                                     HTTP_DELETE, HTTP_OPTIONS, HTTP_PATCH};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        const char *name = http_method_text(all[i]);
        if (str_eq(text, (Str){name, strlen(name)})) {
            *out = all[i];
            return true;
        }
    }
    return false;
}

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c + ('a' - 'A'));
    }
    return c;
}

bool http_str_eq_nocase(Str a, Str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

Str http_str_trim(Str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s = str_slice(s, 1, s.len);
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

bool http_request_header(const HttpRequest *request, Str name, Str *value)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (http_str_eq_nocase(request->headers[i].name, name)) {
            *value = request->headers[i].value;
            return true;
        }
    }
    return false;
}

bool http_request_arg_next(const HttpRequest *request, Str name, size_t *at, Str *value)
{
    while (*at < request->arg_count) {
        const HttpPair *arg = &request->args[(*at)++];
        if (str_eq(arg->name, name)) {
            *value = arg->value;
            return true;
        }
    }
    return false;
}

bool http_request_arg(const HttpRequest *request, Str name, Str *value)
{
    size_t at = 0;
    return http_request_arg_next(request, name, &at, value);
}

Str http_request_media_type(const HttpRequest *request, char out[static HTTP_MEDIA_TYPE_MAX])
{
    Str type = {0};
    Str parameters = {0};
    if (!http_request_header(request, STR("content-type"), &type)) {
        return (Str){.ptr = out};
    }
    (void)str_cut(type, ';', &type, &parameters);
    type = str_slice(http_str_trim(type), 0, HTTP_MEDIA_TYPE_MAX);
    for (size_t i = 0; i < type.len; i++) {
        out[i] = lower(type.ptr[i]);
    }
    return (Str){.ptr = out, .len = type.len};
}

Status http_request_body_plain(const HttpRequest *request, Buf *into, Bytes *out, Err *err)
{
    static const struct {
        Str name;
        InflateKind kind;
    } codings[] = {
        {STR("gzip"), INFLATE_GZIP},
        {STR("x-gzip"), INFLATE_GZIP},
        {STR("deflate"), INFLATE_ZLIB},
        {STR("zstd"), INFLATE_ZSTD},
    };
    Status st = OK;
    Str coding = {0};
    Inflate *inflate = NULL;

    *out = (Bytes){0};
    if (!http_request_header(request, STR("content-encoding"), &coding) || coding.len == 0 ||
        http_str_eq_nocase(coding, STR("identity"))) {
        *out = request->body;
        return OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        if (http_str_eq_nocase(coding, codings[i].name)) {
            inflate = inflate_new(codings[i].kind);
        }
    }
    if (inflate == NULL) {
        return err_set(err, ERR_UNSUPPORTED,
                       "content encoding '" STR_FMT "' is not one of gzip, deflate, zstd, identity",
                       STR_ARG(coding));
    }
    TRY_OUT(inflate_feed(inflate, request->body, into, err));
    TRY_OUT(inflate_finish(inflate, err));
    *out = buf_bytes(into);
out:
    inflate_free(inflate);
    return st == OK ? OK : err_prefix(err, "request body (" STR_FMT "): ", STR_ARG(coding));
}

// ---- Percent encoding

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

int http_unescape_byte(Str s, size_t *at)
{
    const size_t i = *at;
    if (s.ptr[i] != '%') {
        *at = i + 1;
        return (uint8_t)s.ptr[i];
    }
    if (s.len - i < 3) {
        return -1;
    }
    const int hi = hex_digit(s.ptr[i + 1]);
    const int lo = hex_digit(s.ptr[i + 2]);
    if (hi < 0 || lo < 0) {
        return -1;
    }
    *at = i + 3;
    return hi << 4 | lo;
}

Status http_unescape(Str in, bool plus_is_space, Buf *text, Str *out, Err *err)
{
    uint8_t *p = buf_reserve(text, in.len);
    size_t len = 0;
    if (p == NULL) {
        return err_set(err, ERR_TOO_LARGE, "arguments of more than %zu bytes", text->max_bytes);
    }
    for (size_t i = 0; i < in.len;) {
        const bool plus = plus_is_space && in.ptr[i] == '+';
        const int byte = http_unescape_byte(in, &i);
        if (byte < 0) {
            return err_set(err, ERR_INVALID,
                           "'%%' is not followed by two hex digits in '" STR_FMT "'",
                           STR_ARG(str_slice(in, 0, 64)));
        }
        if (byte == 0) {
            return err_set(err, ERR_INVALID, "encoded NUL in '" STR_FMT "'",
                           STR_ARG(str_slice(in, 0, 64)));
        }
        p[len++] = plus ? ' ' : (uint8_t)byte;
    }
    buf_commit(text, len);
    *out = (Str){.ptr = (const char *)p, .len = len};
    if (!utf8_is_valid(*out)) {
        return err_set(err, ERR_INVALID, "not UTF-8: '" STR_FMT "'", STR_ARG(str_slice(in, 0, 64)));
    }
    return OK;
}

// Decodes one name or value. What has no escapes is not copied.
static Status arg_decode(Str in, Buf *text, Str *out, Err *err)
{
    const bool plain =
        in.len == 0 || (memchr(in.ptr, '%', in.len) == NULL && memchr(in.ptr, '+', in.len) == NULL);
    if (!plain) {
        return http_unescape(in, true, text, out, err);
    }
    if (in.len != 0 && (memchr(in.ptr, '\0', in.len) != NULL || !utf8_is_valid(in))) {
        return err_set(err, ERR_INVALID, "an argument has a NUL or is not UTF-8");
    }
    *out = in;
    return OK;
}

size_t http_args_count(Str in)
{
    size_t count = in.len == 0 ? 0 : 1;
    for (size_t i = 0; i < in.len; i++) {
        count += in.ptr[i] == '&' ? 1 : 0;
    }
    return count;
}

Status http_args_parse(Str in, Buf *text, HttpPair *out, size_t *count, Err *err)
{
    *count = 0;
    // All at once, so that the decoded strings do not move.
    if (in.len != 0 && buf_reserve(text, in.len) == NULL) {
        return err_set(err, ERR_TOO_LARGE, "arguments of more than %zu bytes", text->max_bytes);
    }
    size_t n = 0;
    while (in.len > 0) {
        Str piece = in;
        if (!str_cut(in, '&', &piece, &in)) {
            in = (Str){0};
        }
        if (piece.len == 0) {
            continue;
        }
        if (n == HTTP_ARGS_MAX) {
            return err_set(err, ERR_TOO_LARGE, "more than %d arguments", HTTP_ARGS_MAX);
        }
        Str name = piece;
        Str value = {0};
        (void)str_cut(piece, '=', &name, &value);
        TRY(arg_decode(name, text, &out[n].name, err));
        TRY(arg_decode(value, text, &out[n].value, err));
        n++;
    }
    *count = n;
    return OK;
}

// ---- Responses

void http_response_init(HttpResponse *response)
{
    response->status = 0;
    response->content_type = NULL;
    buf_init(&response->body, 0);
    response->stream = (HttpStream){0};
    response->header_count = 0;
    response->header_len = 0;
}

void http_response_deinit(HttpResponse *response)
{
    buf_deinit(&response->body);
    if (response->stream.close != NULL) {
        response->stream.close(response->stream.ctx);
    }
    response->stream = (HttpStream){0};
}

// Terminated, because libmicrohttpd wants it so.
static Str header_text(HttpResponse *response, Str s, size_t size_bytes)
{
    ASSERT(s.len + 1 <= size_bytes - response->header_len);
    char *p = response->header_text + response->header_len;
    for (size_t i = 0; i < s.len; i++) {
        const uint8_t c = (uint8_t)s.ptr[i];
        p[i] = s.ptr[i];
        if (c < 0x20 || c == 0x7f) {
            p[i] = '?';
        }
    }
    p[s.len] = '\0';
    response->header_len += s.len + 1;
    return (Str){.ptr = p, .len = s.len};
}

void http_response_header(HttpResponse *response, Str name, Str value)
{
    ASSERT(response->header_count < HTTP_RESPONSE_HEADERS_MAX);
    HttpPair *header = &response->headers[response->header_count++];
    header->name = header_text(response, name, HTTP_RESPONSE_HEADER_BYTES);
    header->value = header_text(response, value, HTTP_RESPONSE_HEADER_BYTES);
}

void http_response_header_own(HttpResponse *response, Str name, Str value)
{
    ASSERT(response->header_count < ARRAY_LEN(response->headers));
    HttpPair *header = &response->headers[response->header_count++];
    header->name = header_text(response, name, sizeof(response->header_text));
    header->value = header_text(response, value, sizeof(response->header_text));
}
