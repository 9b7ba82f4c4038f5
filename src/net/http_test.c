// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include "net/http_internal.h"
#include "tests/support/test.h"

static Bytes bytes_of(Str s)
{
    return (Bytes){.ptr = (const uint8_t *)s.ptr, .len = s.len};
}

TEST(http, arguments)
{
    static const struct {
        Str in;
        Status status;
        Str want; // name=value; ...
    } cases[] = {
        {STR(""), OK, STR("")},
        {STR("a=1"), OK, STR("a=1;")},
        {STR("a=1&b=2&a=3"), OK, STR("a=1;b=2;a=3;")},
        {STR("a&b=&=c&"), OK, STR("a=;b=;=c;")},
        {STR("&&"), OK, STR("")},
        {STR("query=sum%28rate%28x%5B5m%5D%29%29+by+%28job%29"), OK,
         STR("query=sum(rate(x[5m])) by (job);")},
        {STR("a=b=c"), OK, STR("a=b=c;")},
        {STR("m%5B%5D=%7B%3D%26%7D"), OK, STR("m[]={=&};")},
        {STR("a=caf%C3%A9"), OK, STR("a=caf\xc3\xa9;")},
        {STR("a=caf\xc3\xa9"), OK, STR("a=caf\xc3\xa9;")},
        {STR("a=%2B+%2b"), OK, STR("a=+ +;")},
        {STR("a=%"), ERR_INVALID, STR("")},
        {STR("a=%4"), ERR_INVALID, STR("")},
        {STR("a=%4g"), ERR_INVALID, STR("")},
        {STR("%zz=1"), ERR_INVALID, STR("")},
        {STR("a=%00"), ERR_INVALID, STR("")},
        {STR("a=\0b"), ERR_INVALID, STR("")},
        {STR("a=%ff"), ERR_INVALID, STR("")},
        {STR("a=\xff"), ERR_INVALID, STR("")},
    };
    static HttpPair pairs[HTTP_ARGS_MAX];
    Buf got;
    buf_init(&got, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        size_t count = 99;
        Buf text;
        buf_init(&text, 0);
        CHECK_EQ(http_args_parse(cases[i].in, &text, pairs, &count, &err), cases[i].status);
        buf_clear(&got);
        for (size_t k = 0; k < count; k++) {
            buf_putf(&got, STR_FMT "=" STR_FMT ";", STR_ARG(pairs[k].name),
                     STR_ARG(pairs[k].value));
        }
        CHECK_STR(buf_str(&got), cases[i].want);
        CHECK(count <= http_args_count(cases[i].in));
        buf_deinit(&text);
    }
    buf_deinit(&got);
}

TEST(http, arguments_limit)
{
    static HttpPair pairs[HTTP_ARGS_MAX];
    Buf in, text;
    size_t count = 0;
    Err err;
    buf_init(&in, 0);
    buf_init(&text, 0);
    for (int i = 0; i < HTTP_ARGS_MAX; i++) {
        buf_put_str(&in, STR("%61=&"));
    }
    CHECK_OK(http_args_parse(buf_str(&in), &text, pairs, &count, &err));
    CHECK_EQ(count, HTTP_ARGS_MAX);
    buf_put_str(&in, STR("b=1"));
    buf_clear(&text);
    CHECK_EQ(http_args_parse(buf_str(&in), &text, pairs, &count, &err), ERR_TOO_LARGE);
    buf_deinit(&in);
    buf_deinit(&text);
}

TEST(http, request_look_ups)
{
    static const HttpPair headers[] = {
        {STR("Content-Type"), STR(" Application/JSON ; charset=utf-8")},
        {STR("X-Scope-OrgID"), STR("tenant")},
        {STR("x-scope-orgid"), STR("second")}};
    static const HttpPair args[] = {
        {STR("match[]"), STR("a")}, {STR("start"), STR("1")}, {STR("match[]"), STR("b")}};
    const HttpRequest request = {.headers = headers,
                                 .header_count = ARRAY_LEN(headers),
                                 .args = args,
                                 .arg_count = ARRAY_LEN(args)};
    char type[HTTP_MEDIA_TYPE_MAX];
    Str value = {0};
    size_t at = 0;
    CHECK(http_request_header(&request, STR("X-SCOPE-ORGID"), &value));
    CHECK_STR(value, STR("tenant"));
    CHECK(!http_request_header(&request, STR("X-Scope"), &value));
    CHECK_STR(http_request_media_type(&request, type), STR("application/json"));
    CHECK_EQ(http_request_media_type(&(HttpRequest){0}, type).len, 0);
    CHECK(http_request_arg(&request, STR("start"), &value));
    CHECK(!http_request_arg(&request, STR("Start"), &value));
    CHECK(http_request_arg_next(&request, STR("match[]"), &at, &value));
    CHECK_STR(value, STR("a"));
    CHECK(http_request_arg_next(&request, STR("match[]"), &at, &value));
    CHECK_STR(value, STR("b"));
    CHECK(!http_request_arg_next(&request, STR("match[]"), &at, &value));
    CHECK(!http_request_is_cancelled(&request));
}

static const Str plain = {.ptr = "hello hello hello hello hello", .len = 29};

static void check_coding(Test *t, Str coding, CompressKind kind, size_t room)
{
    Compress *compress = compress_new();
    Buf packed;
    Buf into;
    Bytes got = {0};
    Err err;
    buf_init(&packed, 0);
    buf_init(&into, room);
    if (kind == COMPRESS_NONE) {
        buf_put_str(&packed, plain);
    } else {
        CHECK_OK(compress_encode(compress, kind, 0, bytes_of(plain), &packed, &err));
    }
    const HttpPair header = {STR("content-encoding"), coding};
    const HttpRequest request = {.headers = &header, .header_count = 1, .body = buf_bytes(&packed)};
    const bool fits = room >= plain.len || kind == COMPRESS_NONE;
    CHECK_EQ(http_request_body_plain(&request, &into, &got, &err), fits ? OK : ERR_TOO_LARGE);
    if (fits) {
        CHECK_STR(((Str){(const char *)got.ptr, got.len}), plain);
    }
    buf_deinit(&packed);
    buf_deinit(&into);
    compress_free(compress);
}

TEST(http, body_is_decoded)
{
    static const struct {
        Str coding;
        CompressKind kind;
    } codings[] = {
        {STR("gzip"), COMPRESS_GZIP},     {STR("X-GZIP"), COMPRESS_GZIP},
        {STR("deflate"), COMPRESS_ZLIB},  {STR("zstd"), COMPRESS_ZSTD},
        {STR("identity"), COMPRESS_NONE}, {STR(""), COMPRESS_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        check_coding(t, codings[i].coding, codings[i].kind, plain.len);
        check_coding(t, codings[i].coding, codings[i].kind, plain.len - 1);
    }
}

TEST(http, body_of_unknown_or_broken_coding)
{
    static const struct {
        Str coding, body;
        Status status;
    } cases[] = {
        {STR("br"), STR("x"), ERR_UNSUPPORTED},
        {STR("gzip, gzip"), STR("x"), ERR_UNSUPPORTED},
        {STR("gzip"), STR("hello"), ERR_INVALID},
        {STR("gzip"), STR("\x1f\x8b\x08\0\0\0\0\0\0\3"), ERR_INVALID},
        {STR("zstd"), STR("hello"), ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const HttpPair header = {STR("Content-Encoding"), cases[i].coding};
        const HttpRequest request = {
            .headers = &header, .header_count = 1, .body = bytes_of(cases[i].body)};
        Buf into;
        Bytes got = {0};
        Err err;
        buf_init(&into, 1000);
        CHECK_EQ(http_request_body_plain(&request, &into, &got, &err), cases[i].status);
        buf_deinit(&into);
    }
}

TEST(http, response_headers_cannot_be_forged)
{
    HttpResponse r;
    http_response_init(&r);
    http_response_header(&r, STR("X-Name"), STR("a\r\nSet-Cookie: x\0\x7f\tb"));
    CHECK_STR(r.headers[0].name, STR("X-Name"));
    CHECK_STR(r.headers[0].value, STR("a??Set-Cookie: x???b"));
    CHECK_EQ(r.headers[0].value.ptr[r.headers[0].value.len], 0);
    http_response_deinit(&r);
}

static Status nothing(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    (void)ctx, (void)request, (void)response, (void)err;
    return OK;
}

TEST(http_route, matches)
{
    static const HttpRoute routes[] = {
        {HTTP_GET, "/", HTTP_CLASS_INLINE, 0, nothing, NULL},
        {HTTP_GET | HTTP_POST, "/api/v1/query", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_GET, "/api/v1/label/:name/values", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_GET, "/api/v1/label/job/values", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_POST, "/api/v1/write/:table", HTTP_CLASS_WRITE, 0, nothing, NULL},
        {HTTP_GET, "/ui/*", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_GET, "/ui/assets/*", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_POST, "/ui/save", HTTP_CLASS_READ, 0, nothing, NULL},
    };
    // NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): the order is the reader's
    static const struct {
        HttpMethod method;
        Str path;
        int route; // -1: none
        Str param;
        unsigned allowed;
    } cases[] = {
        {HTTP_GET, STR("/"), 0, STR(""), HTTP_GET | HTTP_HEAD},
        {HTTP_HEAD, STR("/"), 0, STR(""), HTTP_GET | HTTP_HEAD},
        {HTTP_POST, STR("/"), -1, STR(""), HTTP_GET | HTTP_HEAD},
        {HTTP_POST, STR("/api/v1/query"), 1, STR(""), HTTP_GET | HTTP_HEAD | HTTP_POST},
        {HTTP_GET, STR("/%61pi/v1/quer%79"), 1, STR(""), HTTP_GET | HTTP_HEAD | HTTP_POST},
        {HTTP_GET, STR("/api%2Fv1/query"), -1, STR(""), 0},
        {HTTP_GET, STR("/api/v1/query/"), -1, STR(""), 0},
        {HTTP_GET, STR("/api/v1/quer"), -1, STR(""), 0},
        {HTTP_GET, STR("/API/v1/query"), -1, STR(""), 0},
        {HTTP_GET, STR("/api/v1/label/pod/values"), 2, STR("pod"), HTTP_GET | HTTP_HEAD},
        {HTTP_GET, STR("/api/v1/label/a%2Fb/values"), 2, STR("a%2Fb"), HTTP_GET | HTTP_HEAD},
        {HTTP_GET, STR("/api/v1/label/job/values"), 3, STR(""), HTTP_GET | HTTP_HEAD},
        {HTTP_GET, STR("/api/v1/label//values"), -1, STR(""), 0},
        {HTTP_GET, STR("/api/v1/label/a/b/values"), -1, STR(""), 0},
        {HTTP_POST, STR("/api/v1/write/flows"), 4, STR("flows"), HTTP_POST},
        {HTTP_POST, STR("/api/v1/write/"), -1, STR(""), 0},
        {HTTP_GET, STR("/ui/"), 5, STR(""), HTTP_GET | HTTP_HEAD},
        {HTTP_GET, STR("/ui"), -1, STR(""), 0},
        {HTTP_GET, STR("/ui/a/b.js"), 5, STR("a/b.js"), HTTP_GET | HTTP_HEAD},
        {HTTP_GET, STR("/ui/assets/x"), 6, STR("x"), HTTP_GET | HTTP_HEAD},
        {HTTP_POST, STR("/ui/save"), 7, STR(""), HTTP_GET | HTTP_HEAD | HTTP_POST},
        {HTTP_GET, STR("/ui/save"), 5, STR("save"), HTTP_GET | HTTP_HEAD | HTTP_POST},
        {HTTP_GET, STR("/%"), -1, STR(""), 0},
    };
    Err err;
    CHECK_OK(http_routes_check(routes, ARRAY_LEN(routes), &err));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const HttpMatch got =
            http_route_find(routes, ARRAY_LEN(routes), cases[i].method, cases[i].path);
        const int route = got.route == NULL ? -1 : (int)(got.route - routes);
        if (route != cases[i].route || got.allowed != cases[i].allowed) {
            test_fail(t, __FILE__, __LINE__, STR_FMT ": route %d, allowed %x",
                      STR_ARG(cases[i].path), route, got.allowed);
        }
        CHECK_STR(got.param, cases[i].param);
    }
}

TEST(http_route, bad_patterns)
{
    static const HttpRoute bad[] = {
        {HTTP_GET, "", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_GET, "api", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_GET, "/*/x", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_GET, "/a*", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_GET, "/:a/:b", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_GET, "/:a/*", HTTP_CLASS_READ, 0, nothing, NULL},
        {0, "/a", HTTP_CLASS_READ, 0, nothing, NULL},
        {HTTP_GET, "/a", HTTP_CLASS_READ, 0, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        Err err;
        CHECK_EQ(http_routes_check(&bad[i], 1, &err), ERR_INVALID);
    }
}
