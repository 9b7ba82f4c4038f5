// SPDX-License-Identifier: Apache-2.0
//
// Heap memory for objects with a life of their own (handles, reference-counted objects, columns).
// Never returns NULL: when the system has no memory left the process stops, because nothing useful
// can be done with the error at each of a thousand places. Sizes that come from outside are refused
// by a limit long before this point. Everything that shares a lifetime belongs in an Arena.
#pragma once

#include "base/base.h"

#define mem_new(T, count) ((T *)mem_alloc((count), sizeof(T)))

// Zeroed memory. Panics when there is none, or when count * size overflows.
void *mem_alloc(size_t count, size_t size) __attribute__((returns_nonnull, alloc_size(1, 2)));

// Memory with undefined contents, for large buffers that are filled at once.
void *mem_alloc_raw(size_t size) __attribute__((returns_nonnull, alloc_size(1)));

// Grows or shrinks `p` (which may be NULL) to count * size bytes; what is new is undefined.
void *mem_realloc(void *p, size_t count, size_t size) __attribute__((returns_nonnull));

// Column buffers: aligned to 64 bytes, `size` rounded up to a multiple of 64, contents undefined.
void *mem_alloc_aligned(size_t size) __attribute__((returns_nonnull));

void mem_free(void *p); // accepts NULL; frees memory of any of the functions above

// Makes room for at least `need` elements in a growing array: returns the (possibly moved) array
// and raises *cap by doubling. Use:  v->ptr = mem_grow(v->ptr, &v->cap, v->len + 1,
// sizeof(*v->ptr));
void *mem_grow(void *p, size_t *cap, size_t need, size_t size) __attribute__((returns_nonnull));
