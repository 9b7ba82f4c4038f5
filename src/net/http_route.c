// SPDX-License-Identifier: Apache-2.0
#include "net/http_internal.h"

// How well a pattern fits: an exact path beats ":name", which beats "*"; of two "*" the longer
// wins.
enum { RANK_NONE = 0, RANK_STAR = 1, RANK_PARAM = 1000, RANK_EXACT = 2000 };
static_assert((int)HTTP_ROUTE_PATH_MAX < (int)RANK_PARAM,
              "the length of a pattern must fit between ranks");

static Status route_check(const HttpRoute *route, Err *err)
{
    const size_t len = strlen(route->path);
    size_t params = 0;
    if (len == 0 || len > HTTP_ROUTE_PATH_MAX || route->path[0] != '/') {
        return err_set(err, ERR_INVALID, "route '%s': a path starts with '/' and has 1..%d bytes",
                       route->path, HTTP_ROUTE_PATH_MAX);
    }
    for (size_t i = 1; i < len; i++) {
        const bool at_start = route->path[i - 1] == '/';
        const bool star = route->path[i] == '*';
        if (star && !(at_start && i + 1 == len)) {
            return err_set(err, ERR_INVALID, "route '%s': '*' is not the last segment",
                           route->path);
        }
        params += star || (at_start && route->path[i] == ':') ? 1 : 0;
    }
    if (params > 1) {
        return err_set(err, ERR_INVALID, "route '%s': more than one parameter", route->path);
    }
    if (route->methods == 0 || route->handler == NULL) {
        return err_set(err, ERR_INVALID, "route '%s': no methods or no handler", route->path);
    }
    return OK;
}

Status http_routes_check(const HttpRoute *routes, size_t count, Err *err)
{
    if (count > HTTP_ROUTES_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d routes", HTTP_ROUTES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(route_check(&routes[i], err));
    }
    return OK;
}

// Walks pattern and path together. Escapes are decoded one byte at a time; an encoded slash is a
// byte like any other, never the end of a segment (RFC 3986, section 2.2).
static int match(const char *pattern, Str raw, Str *param)
{
    const size_t pattern_len = strlen(pattern);
    size_t i = 0;
    int rank = RANK_EXACT;

    *param = (Str){0};
    for (const char *p = pattern; *p != '\0'; p++) {
        const bool at_start = p > pattern && p[-1] == '/';
        if (at_start && *p == '*') {
            *param = str_slice(raw, i, raw.len);
            return RANK_STAR + (int)pattern_len;
        }
        if (at_start && *p == ':') {
            size_t end = i;
            while (end < raw.len && raw.ptr[end] != '/') {
                end++;
            }
            if (end == i) {
                return RANK_NONE;
            }
            *param = str_slice(raw, i, end);
            i = end;
            rank = RANK_PARAM;
            while (p[1] != '\0' && p[1] != '/') {
                p++;
            }
            continue;
        }
        if (i >= raw.len) {
            return RANK_NONE;
        }
        const bool escaped = raw.ptr[i] == '%';
        const int byte = http_unescape_byte(raw, &i);
        if (byte != (uint8_t)*p || (escaped && byte == '/')) {
            return RANK_NONE;
        }
    }
    return i == raw.len ? rank : RANK_NONE;
}

HttpMatch http_route_find(const HttpRoute *routes, size_t count, HttpMethod method, Str raw_path)
{
    HttpMatch best = {0};
    int best_rank = RANK_NONE;
    for (size_t i = 0; i < count; i++) {
        Str param = {0};
        const int rank = match(routes[i].path, raw_path, &param);
        if (rank == RANK_NONE) {
            continue;
        }
        const unsigned methods =
            routes[i].methods | ((routes[i].methods & HTTP_GET) != 0 ? (unsigned)HTTP_HEAD : 0);
        best.allowed |= methods;
        if (rank > best_rank && (methods & method) != 0) {
            best_rank = rank;
            best.route = &routes[i];
            best.param = param;
        }
    }
    return best;
}
