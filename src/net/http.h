// SPDX-License-Identifier: Apache-2.0
//
// HTTP messages as handlers see them: requests, responses, arguments, header look-up. What moves
// them is in http_server.h. Everything here is plain data with helpers; nothing blocks.
//
// An HttpRequest is immutable while a handler has it, may be read from any thread, and lives until
// the handler has returned, or, when the handler answered with a stream, until the stream is
// closed. All Str and Bytes in it are borrowed from it. An HttpResponse belongs to the thread of
// the handler.
//
// Sources: RFC 9110 (semantics), RFC 9112 (HTTP/1.1), WHATWG URL (form encoding).
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    HTTP_ARGS_MAX = 1024,              // query and form arguments of one request
    HTTP_HEADERS_MAX = 128,            // headers of one request
    HTTP_RESPONSE_HEADERS_MAX = 16,    // extra headers of one response
    HTTP_RESPONSE_HEADER_BYTES = 2048, // names and values of those, together
};

// Bits, so that a route can name several. HEAD is answered from GET's route, without the body.
typedef enum HttpMethod {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_DELETE = 16,
    HTTP_OPTIONS = 32,
    HTTP_PATCH = 64,
} HttpMethod;

const char *http_method_text(HttpMethod method);

typedef struct HttpPair {
    Str name, value;
} HttpPair;

typedef struct HttpCall HttpCall; // the server's side of a request

typedef struct HttpRequest {
    HttpMethod method;
    Str path;             // decoded, UTF-8, starts with '/', without NUL, "." and ".." segments
    Str param;            // what ":name" or "*" of the route stood for, decoded; may hold '/'
    const HttpPair *args; // of the query, decoded, in order; names may repeat
    size_t arg_count;
    const HttpPair *headers; // names as sent, in order
    size_t header_count;
    Bytes body;     // whole, as sent (Content-Encoding not undone)
    Str peer;       // "192.0.2.1:4711", "[2001:db8::1]:4711"
    HttpCall *call; // NULL for a request that a test made by hand
} HttpRequest;

// The first header called `name` (ASCII case does not matter); false when there is none.
bool http_request_header(const HttpRequest *request, Str name, Str *value);

// The first argument called `name`; false when there is none.
bool http_request_arg(const HttpRequest *request, Str name, Str *value);
// The next one from args[*at] on, for repeated names; start with *at = 0.
bool http_request_arg_next(const HttpRequest *request, Str name, size_t *at, Str *value);

// True when the client has gone (it closed its sending side, or the connection broke), or when the
// server stops and its patience is over. Cheap enough to be asked once per batch; looks at the
// socket at most every HTTP_CANCEL_CHECK_MS. Any thread. Once true it stays true.
enum { HTTP_CANCEL_CHECK_MS = 20 };
bool http_request_is_cancelled(const HttpRequest *request);

// The body's media type without parameters, lower case: "application/json". Empty when not said.
// `out` has room for HTTP_MEDIA_TYPE_MAX bytes; a longer one is cut.
enum { HTTP_MEDIA_TYPE_MAX = 96 };
Str http_request_media_type(const HttpRequest *request, char out[static HTTP_MEDIA_TYPE_MAX]);

// The body with its Content-Encoding undone: gzip, x-gzip, deflate, zstd and identity. *out is the
// request's own body when there was nothing to do, else it is in `into` (initialised by the caller
// with the largest size it takes as its maximum).
//
// ERR_INVALID      malformed
// ERR_TOO_LARGE    more than `into` may hold
// ERR_UNSUPPORTED  another encoding, or several
Status http_request_body_plain(const HttpRequest *request, Buf *into, Bytes *out, Err *err);

// Decodes "a=1&b=%20x+y" (a query, or a body of application/x-www-form-urlencoded) into `out`,
// which has room for HTTP_ARGS_MAX pairs. What has escapes is decoded into `text`; the rest is
// borrowed from `in`. `text` must not be shared with an earlier call whose pairs are still in use.
// Pieces without '=' have an empty value; empty pieces are skipped. Values may hold any byte but
// NUL and are UTF-8.
//
// ERR_INVALID  a '%' that is not followed by two hex digits, NUL, or not UTF-8
// ERR_TOO_LARGE  more than HTTP_ARGS_MAX
Status http_args_parse(Str in, Buf *text, HttpPair *out, size_t *count, Err *err);

// ---- Responses

// Produces a response piece by piece, for results too large to hold. Runs on the threads of the
// route's class, never on two at a time.
//
// pull   appends the next piece to `piece` (empty at the call; some 64 KiB is a good size) and sets
//        *done with the last one. May block. Appending nothing is allowed. An error of the very
//        first pull becomes an error response; a later one breaks the connection, so that the
//        client sees that the body is incomplete.
// close  always called exactly once, after the last pull, whatever happened; any thread, must not
//        block. May be NULL.
typedef struct HttpStream {
    Status (*pull)(void *ctx, const HttpRequest *request, Buf *piece, bool *done, Err *err);
    void (*close)(void *ctx);
    void *ctx;
} HttpStream;

typedef struct HttpResponse {
    int status;               // 0 means 200, or what the handler's error stands for
    const char *content_type; // a constant, or memory that outlives the response; NULL: none
    Buf body;                 // taken by the server; starts without a maximum
    HttpStream stream;        // used instead of `body` when pull is not NULL
    HttpPair
        headers[HTTP_RESPONSE_HEADERS_MAX + 4]; // by http_response_header(); 4 are the server's
    size_t header_count;
    char header_text[HTTP_RESPONSE_HEADER_BYTES + 256];
    size_t header_len;
} HttpResponse;

void http_response_init(HttpResponse *response);
void http_response_deinit(HttpResponse *response); // body and stream, if still there

// Adds a header; both are copied, and terminated. Control characters in the value become '?', so
// that no value can forge a header. Headers that frame the message (Content-Length,
// Transfer-Encoding, Connection, Date) are the server's. Panics when there are too many: they are
// the program's own.
void http_response_header(HttpResponse *response, Str name, Str value);
