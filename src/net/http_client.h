// SPDX-License-Identifier: Apache-2.0
//
// HttpClient: blocking HTTP requests on libcurl (whose header nobody else includes). One request at
// a time per client; a client keeps its connections and belongs to one thread at a time. No
// redirect is followed, no proxy is used unless named (the environment's proxy variables are
// ignored), nothing but http:// and https:// is spoken, certificates are verified.
#pragma once

#include "net/http.h"

#include <stdatomic.h>

enum {
    HTTP_CLIENT_URL_MAX = 8192,                    // bytes
    HTTP_CLIENT_HEADERS_BYTES_MAX = 64 << 10,      // of a response
    HTTP_CLIENT_BODY_BYTES_MAX_DEFAULT = 64 << 20, // of a response that is kept
    HTTP_CLIENT_CONNECT_TIMEOUT_MS_DEFAULT = 10 * 1000,
    HTTP_CLIENT_TIMEOUT_MS_DEFAULT = 60 * 1000,
};

// Takes the next piece of a response's body. A failure ends the request with this error.
typedef Status (*HttpClientSink)(void *ctx, Bytes piece, Err *err);

// Zeroes stand for the defaults.
typedef struct HttpClientRequest {
    HttpMethod method;       // 0: GET
    Str url;                 // "http://127.0.0.1:8080/api/v1/write?x=1", already encoded
    const HttpPair *headers; // values without CR, LF and NUL
    size_t header_count;
    Bytes body; // borrowed for the call; sent with POST, PUT and PATCH
    int64_t connect_timeout_ms;
    int64_t timeout_ms;    // of the whole exchange; < 0: none
    size_t body_bytes_max; // of the response
    HttpClientSink sink;   // NULL: the body is kept in the response. Only called for status 2xx,
    void *sink_ctx;        // bodies of other answers are kept.
    Str proxy;             // "http://host:port"; empty: none
    const atomic_bool *cancel; // looked at about every second and with every piece; may be NULL
} HttpClientRequest;

typedef struct HttpClientResponse {
    int status;  // 200, 404, ...
    Buf body;    // content decoded if it came compressed; empty when it went to the sink
    Buf headers; // as received, lines end in CR LF
} HttpClientResponse;

typedef struct HttpClient HttpClient;

HttpClient *http_client_new(void);
void http_client_free(HttpClient *client); // accepts NULL

// Sends the request and waits for the answer; an answer of any status is a success. *response is
// set to empty at the start and freed by http_client_response_deinit() in any case.
//
// ERR_INVALID      the URL or a header is malformed
// ERR_UNAVAILABLE  no connection: refused, unknown host, TLS
// ERR_TIMEOUT      connecting or the whole took too long
// ERR_TOO_LARGE    the response is larger than the limit
// ERR_CANCELLED    *cancel became true
// ERR_IO           the connection broke, or what came was not HTTP
Status http_client_do(HttpClient *client, const HttpClientRequest *request,
                      HttpClientResponse *response, Err *err);

void http_client_response_deinit(HttpClientResponse *response); // accepts a zeroed one

// The first header called `name` (ASCII case does not matter) of the last answer (not of a 100).
bool http_client_response_header(const HttpClientResponse *response, Str name, Str *value);

// Appends `s` percent-encoded for use in a query or a path segment.
void http_client_put_escaped(Buf *b, Str s);
