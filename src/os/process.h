// SPDX-License-Identifier: Apache-2.0
//
// This process: its name, its environment, its standard streams. Any thread.
#pragma once

#include "base/arena.h"

// The full path of the running program; empty when /proc does not say.
Str os_executable_path(Arena *arena);
Str os_host_name(Arena *arena); // "localhost" when there is none
uint32_t os_process_id(void);

// The variable `name` of the environment; false when it is not set. *value is borrowed from the
// environment, which nothing in the project changes.
bool os_env(const char *name, Str *value);

typedef enum OsStream { OS_STDOUT, OS_STDERR } OsStream;

bool os_stream_is_terminal(OsStream stream);
uint32_t os_stream_columns(OsStream stream); // 0 when it is no terminal, or one that does not say

// Writes all of `text`, unbuffered. False when the reader has gone, or anything else: there is
// nobody to tell.
bool os_print(Str text);       // to stdout
bool os_print_error(Str text); // to stderr

// Raises the number of files this process may have open to what it is allowed, and returns that.
uint64_t os_raise_open_files(void);
