// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include "base/mem.h"
#include "net/http_internal.h"

#include <curl/curl.h>

struct HttpClient {
    CURL *curl;
    char error[CURL_ERROR_SIZE];
};

// One request under way; libcurl's callbacks see it.
typedef struct Exchange {
    HttpClient *client;
    const HttpClientRequest *request;
    HttpClientResponse *response;
    Err *err;
    bool failed; // a callback stopped the transfer; *err says why
} Exchange;

HttpClient *http_client_new(void)
{
    HttpClient *client = mem_new(HttpClient, 1);
    ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); // counts its calls, thread-safe
    client->curl = curl_easy_init();
    ASSERT(client->curl != NULL);
    return client;
}

void http_client_free(HttpClient *client)
{
    if (client == NULL) {
        return;
    }
    curl_easy_cleanup(client->curl);
    curl_global_cleanup();
    mem_free(client);
}

void http_client_response_deinit(HttpClientResponse *response)
{
    buf_deinit(&response->body);
    buf_deinit(&response->headers);
    *response = (HttpClientResponse){0};
}

bool http_client_response_header(const HttpClientResponse *response, Str name, Str *value)
{
    Str rest = buf_str(&response->headers);
    Str line = {0};
    while (str_cut(rest, '\n', &line, &rest)) {
        Str key = {0};
        Str text = {0};
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
            line.len--;
        }
        if (str_cut(line, ':', &key, &text) && http_str_eq_nocase(key, name)) {
            *value = http_str_trim(text);
            return true;
        }
    }
    return false;
}

void http_client_put_escaped(Buf *b, Str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        const uint8_t c = (uint8_t)s.ptr[i];
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            buf_put_u8(b, c);
        } else {
            const char text[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_put(b, text, sizeof(text));
        }
    }
}

// ---- libcurl's callbacks

static bool is_cancelled(const Exchange *x)
{
    // Relaxed: a hint that is acted on some time later.
    return x->request->cancel != NULL &&
           atomic_load_explicit(x->request->cancel, memory_order_relaxed);
}

// NOLINTNEXTLINE(readability-non-const-parameter): libcurl's signature
static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    Exchange *x = arg;
    const Str line = {data, size * count};
    if (str_eq(str_slice(line, 0, 5), STR("HTTP/"))) {
        buf_clear(&x->response->headers); // the answer before this one was a 100
    }
    buf_put_str(&x->response->headers, line);
    if (!buf_ok(&x->response->headers)) {
        x->failed = true;
        (void)err_set(x->err, ERR_TOO_LARGE, "response headers of more than %d bytes",
                      HTTP_CLIENT_HEADERS_BYTES_MAX);
        return 0;
    }
    return line.len;
}

// NOLINTNEXTLINE(readability-non-const-parameter): libcurl's signature
static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    Exchange *x = arg;
    const Bytes piece = {(const uint8_t *)data, size * count};
    long status = 0;
    if (is_cancelled(x)) {
        x->failed = true;
        (void)err_set(x->err, ERR_CANCELLED, "cancelled");
        return 0;
    }
    (void)curl_easy_getinfo(x->client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (x->request->sink != NULL && status / 100 == 2) {
        x->failed = x->request->sink(x->request->sink_ctx, piece, x->err) != OK;
        return x->failed ? 0 : piece.len;
    }
    buf_put(&x->response->body, piece.ptr, piece.len);
    if (!buf_ok(&x->response->body)) {
        x->failed = true;
        (void)err_set(x->err, ERR_TOO_LARGE, "response of more than %zu bytes",
                      x->response->body.max_bytes);
        return 0;
    }
    return piece.len;
}

static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    Exchange *x = arg;
    (void)down_all, (void)down, (void)up_all, (void)up;
    if (!is_cancelled(x)) {
        return 0;
    }
    x->failed = true;
    (void)err_set(x->err, ERR_CANCELLED, "cancelled");
    return 1;
}

// ---- One request

static bool has_control(Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((uint8_t)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

// Terminated, in `text`.
static Status put_url(const HttpClientRequest *request, Buf *text, Err *err)
{
    const Str url = request->url;
    if (url.len == 0 || url.len > HTTP_CLIENT_URL_MAX || has_control(url) ||
        memchr(url.ptr, ' ', url.len) != NULL) {
        return err_set(err, ERR_INVALID, "the URL is empty, too long, or has blanks in it");
    }
    buf_put_str(text, url);
    buf_put_u8(text, 0);
    return OK;
}

static Status put_headers(const HttpClientRequest *request, struct curl_slist **list, Err *err)
{
    Status st = OK;
    Buf line;
    buf_init(&line, 0);
    // No waiting for "100 Continue": curl would hold back larger bodies for a second.
    *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < request->header_count; i++) {
        const HttpPair *h = &request->headers[i];
        if (h->name.len == 0 || has_control(h->name) || has_control(h->value)) {
            st = err_set(err, ERR_INVALID, "header '" STR_FMT "' has a control character",
                         STR_ARG(str_slice(h->name, 0, 64)));
            break;
        }
        buf_clear(&line);
        buf_put_str(&line, h->name);
        buf_put_str(&line, h->value.len > 0 ? STR(": ") : STR(";")); // curl's way to send it empty
        buf_put_str(&line, h->value);
        buf_put_u8(&line, 0);
        *list = curl_slist_append(*list, (const char *)line.ptr);
    }
    buf_deinit(&line);
    return st;
}

static void set_method(CURL *c, const HttpClientRequest *request)
{
    const HttpMethod method = request->method == 0 ? HTTP_GET : request->method;
    switch (method) {
    case HTTP_GET:
        (void)curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
        return;
    case HTTP_HEAD:
        (void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
        return;
    case HTTP_POST:
    case HTTP_PUT:
    case HTTP_PATCH:
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS,
                               request->body.len > 0 ? (const void *)request->body.ptr : "");
        (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, http_method_text(method));
        return;
    case HTTP_DELETE:
    case HTTP_OPTIONS:
        (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, http_method_text(method));
        return;
    }
    UNREACHABLE();
}

static int64_t timeout_of(int64_t wanted_ms, int64_t default_ms)
{
    return wanted_ms == 0 ? default_ms : wanted_ms < 0 ? 0 : wanted_ms;
}

static void set_options(Exchange *x, const char *url, const char *proxy, struct curl_slist *headers)
{
    CURL *c = x->client->curl;
    const HttpClientRequest *r = x->request;
    curl_easy_reset(c); // keeps the connections
    (void)curl_easy_setopt(c, CURLOPT_URL, url);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->client->error);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(c, CURLOPT_PROXY, proxy); // "": none, whatever the environment says
    (void)curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "gzip");
    (void)curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(
        c, CURLOPT_CONNECTTIMEOUT_MS,
        (long)timeout_of(r->connect_timeout_ms, HTTP_CLIENT_CONNECT_TIMEOUT_MS_DEFAULT));
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS,
                           (long)timeout_of(r->timeout_ms, HTTP_CLIENT_TIMEOUT_MS_DEFAULT));
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    set_method(c, r);
}

static Status status_of(CURLcode code)
{
    // A closed switch over libcurl's hundred codes would say nothing more.
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return ERR_TIMEOUT;
    }
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
        return ERR_INVALID;
    }
    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
        code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR ||
        code == CURLE_PEER_FAILED_VERIFICATION) {
        return ERR_UNAVAILABLE;
    }
    return ERR_IO;
}

Status http_client_do(HttpClient *client, const HttpClientRequest *request,
                      HttpClientResponse *response, Err *err)
{
    Status st = OK;
    Buf url;
    Buf proxy;
    struct curl_slist *headers = NULL;
    Exchange x = {.client = client, .request = request, .response = response, .err = err};

    *response = (HttpClientResponse){0};
    buf_init(&url, 0);
    buf_init(&proxy, 0);
    buf_init(&response->headers, HTTP_CLIENT_HEADERS_BYTES_MAX);
    buf_init(&response->body, request->body_bytes_max != 0 ? request->body_bytes_max
                                                           : HTTP_CLIENT_BODY_BYTES_MAX_DEFAULT);
    TRY_OUT(put_url(request, &url, err));
    buf_put_str(&proxy, request->proxy);
    buf_put_u8(&proxy, 0);
    TRY_OUT(put_headers(request, &headers, err));
    client->error[0] = '\0';
    set_options(&x, (const char *)url.ptr, (const char *)proxy.ptr, headers);
    const CURLcode code = curl_easy_perform(client->curl);
    if (x.failed) {
        st = err->status;
    } else if (code != CURLE_OK) {
        st = err_set(err, status_of(code), "%s",
                     client->error[0] != '\0' ? client->error : curl_easy_strerror(code));
    } else {
        long status = 0;
        (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
        response->status = (int)status;
    }
out:
    curl_slist_free_all(headers);
    buf_deinit(&url);
    buf_deinit(&proxy);
    return st == OK ? OK : err_prefix(err, STR_FMT ": ", STR_ARG(str_slice(request->url, 0, 96)));
}
