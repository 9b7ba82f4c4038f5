// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"

#include <stdlib.h>

static void *checked(void *p)
{
    if (p == NULL) {
        base_panic(__FILE__, __LINE__, "out of memory");
    }
    return p;
}

void *mem_alloc(size_t count, size_t size)
{
    return checked(calloc(count != 0 ? count : 1, size));
}

void *mem_alloc_raw(size_t size)
{
    return checked(malloc(size != 0 ? size : 1));
}

void *mem_realloc(void *p, size_t count, size_t size)
{
    size_t bytes = 0;
    ASSERT(!__builtin_mul_overflow(count, size, &bytes));
    return checked(realloc(p, bytes != 0 ? bytes : 1));
}

void *mem_alloc_aligned(size_t size)
{
    ASSERT(size <= SIZE_MAX - 64);
    return checked(aligned_alloc(64, size == 0 ? 64 : (size + 63) & ~(size_t)63));
}

void mem_free(void *p)
{
    free(p);
}

void *mem_grow(void *p, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) {
        return checked(p);
    }
    size_t cap_new = *cap < 8 ? 8 : *cap * 2;
    cap_new = cap_new < need ? need : cap_new;
    p = mem_realloc(p, cap_new, size);
    *cap = cap_new;
    return p;
}
