// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void base_panic(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "%s:%d: panic: %s\n", file, line, what);
    abort();
}

const char *err_status_text(Status status)
{
    switch (status) {
#define X(name, text, http)                                                                        \
    case name:                                                                                     \
        return text;
        STATUS_LIST(X)
#undef X
    }
    UNREACHABLE();
}

int err_status_http(Status status)
{
    switch (status) {
#define X(name, text, http)                                                                        \
    case name:                                                                                     \
        return http;
        STATUS_LIST(X)
#undef X
    }
    UNREACHABLE();
}

Status err_set_at(Err *err, const char *file, int line, Status status, int os_errno,
                  const char *fmt, ...)
{
    ASSERT(status != OK);
    *err = (Err){.status = status, .os_errno = os_errno, .file = file, .line = line};

    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);

    if (os_errno != 0 && len >= 0 && (size_t)len < sizeof(err->msg)) {
        char text[64];
        if (strerror_r(os_errno, text, sizeof(text)) == 0) {
            (void)snprintf(err->msg + len, sizeof(err->msg) - (size_t)len, ": %s", text);
        }
    }
    return status;
}

Status err_prefix(Err *err, const char *fmt, ...)
{
    ASSERT(err->status != OK);
    char text[sizeof(err->msg)];

    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);

    size_t used = len < 0 ? 0 : (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    size_t room = sizeof(text) - used;
    size_t keep = strnlen(err->msg, room - 1);
    memcpy(text + used, err->msg, keep);
    text[used + keep] = '\0';
    memcpy(err->msg, text, sizeof(text));
    return err->status;
}
