// SPDX-License-Identifier: Apache-2.0
//
// Errors. A function that can fail returns a Status and takes an `Err *err` as its last
// parameter. On failure it fills *err and returns err->status; on success it leaves *err alone.
// `err` is never NULL.
//
// Status says what the caller can *do* (retry, answer 404, stop); the message says what happened,
// for people. Code never looks inside the message.
#pragma once

#include "base/base.h"

// name, text, HTTP status. One list feeds the enum, the names and the protocol mappings.
#define STATUS_LIST(X)                                                                             \
    X(OK, "ok", 200)                                                                               \
    X(ERR_INVALID, "invalid argument", 400)                                                        \
    X(ERR_NOT_FOUND, "not found", 404)                                                             \
    X(ERR_EXISTS, "already exists", 409)                                                           \
    X(ERR_TOO_LARGE, "too large", 413)                                                             \
    X(ERR_LIMIT, "limit exceeded", 429)                                                            \
    X(ERR_CANCELLED, "cancelled", 499)                                                             \
    X(ERR_CORRUPT, "corrupt data", 500)                                                            \
    X(ERR_IO, "I/O error", 500)                                                                    \
    X(ERR_INTERNAL, "internal error", 500)                                                         \
    X(ERR_UNSUPPORTED, "not supported", 501)                                                       \
    X(ERR_UNAVAILABLE, "unavailable", 503)                                                         \
    X(ERR_TIMEOUT, "timeout", 503)

// The attribute is on the type, so *every* function that returns a Status, static ones included,
// must have its result used; no function can forget to say so.
#if defined(__clang__)
#define NODISCARD_TYPE __attribute__((warn_unused_result))
#else
#define NODISCARD_TYPE [[nodiscard]] // gcc takes it in every C mode
#endif

typedef enum NODISCARD_TYPE Status {
#define X(name, text, http) name,
    STATUS_LIST(X)
#undef X
} Status;

typedef struct Err {
    Status status;
    int os_errno;     // 0 unless the failure came from the operating system
    const char *file; // where the error was first raised
    int line;
    char msg[1000]; // UTF-8, NUL-terminated, truncated when too long
} Err;

// Fills *err and returns `status`, so that raising an error is one expression:
//     return err_set(err, ERR_CORRUPT, "segment %s: bad magic", name);
#define err_set(err, status, ...)                                                                  \
    err_raised(err_set_at((err), __FILE__, __LINE__, (status), 0, __VA_ARGS__))

// The same for a failed system call: keeps errno and appends its text to the message.
#define err_set_errno(err, os_errno, ...)                                                          \
    err_raised(err_set_at((err), __FILE__, __LINE__, ERR_IO, (os_errno), __VA_ARGS__))

// Tells the compiler what it cannot see, that raising an error never gives OK; else it warns of
// what would follow.
static inline Status err_raised(Status status)
{
    if (status == OK) {
        UNREACHABLE();
    }
    return status;
}

Status err_set_at(Err *err, const char *file, int line, Status status, int os_errno,
                  const char *fmt, ...) PRINTF_LIKE(6, 7);

// Puts "text: " in front of the message while the error travels up. Returns err->status.
Status err_prefix(Err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *err_status_text(Status status);
int err_status_http(Status status); // 400, 429, 503, ...

// The only two control-flow macros in the project.
// TRY      for functions that own nothing yet: returns the failure to the caller.
// TRY_OUT  for functions that own something: stores it in `st` and goes to the one `out:` label.
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        const Status try_st_ = (expr);                                                             \
        if (try_st_ != OK) {                                                                       \
            return try_st_;                                                                        \
        }                                                                                          \
    } while (0)

#define TRY_OUT(expr)                                                                              \
    do {                                                                                           \
        st = (expr);                                                                               \
        if (st != OK) {                                                                            \
            goto out;                                                                              \
        }                                                                                          \
    } while (0)
