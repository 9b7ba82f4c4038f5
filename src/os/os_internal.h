// SPDX-License-Identifier: Apache-2.0
//
// What the backends of Os share: how an errno becomes a Status, and a path part of a message.
#pragma once

#include "os/backend.h"

// ERR_NOT_FOUND, ERR_EXISTS (also for a folder that is not empty), ERR_UNAVAILABLE, else ERR_IO.
Status os_errno_status(int os_errno);

// Fails like a system call: the Status that fits, errno kept, its text appended to the message.
#define os_fail(err, os_errno, ...)                                                                \
    err_raised(                                                                                    \
        err_set_at((err), __FILE__, __LINE__, os_errno_status(os_errno), (os_errno), __VA_ARGS__))

// For messages: the end of a path, which says most, so that the errno text still fits behind it.
// Use:  os_fail(err, errno, "open '" STR_FMT "'", PATH_ARG(path));
enum { OS_PATH_SHOWN_MAX = 140 };
#define PATH_ARG(path) STR_ARG(os_path_tail((path), OS_PATH_SHOWN_MAX))
#define PATH_HALF_ARG(path) STR_ARG(os_path_tail((path), OS_PATH_SHOWN_MAX / 2)) // one of two paths

static inline Str os_path_tail(Str path, size_t max)
{
    return path.len <= max ? path : str_slice(path, path.len - max, path.len);
}
