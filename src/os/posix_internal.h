// SPDX-License-Identifier: Apache-2.0
//
// For the tests of posix.c.
#pragma once

#include "base/err.h"

// Writes zeros wherever [0, size_bytes) of the file has a hole or is past its end: what
// os_file_allocate() does where the file system has no fallocate().
Status posix_fill_holes(int fd, uint64_t size_bytes, Err *err);
