// SPDX-License-Identifier: Apache-2.0
//
// ReaderCache: Parquet files that were opened lately, with their decoded footers, so that a
// dashboard that asks again every few seconds decodes none. Bounded by open files and by bytes; the
// one used longest ago and by nobody now goes first. Any thread. Lock: ReaderCache.mu, a leaf; no
// I/O under it.
#pragma once

#include "parquet/reader.h"
#include "store/budget.h"
#include "store/catalog.h"

typedef struct ReaderCache ReaderCache;
typedef struct CachedReader CachedReader;

typedef struct ReaderCacheOptions {
    Os *os;
    Budget *budget;   // charged with the footers
    size_t files_max; // beyond those in use
    uint64_t bytes_max;
} ReaderCacheOptions;

ReaderCache *reader_cache_new(const ReaderCacheOptions *options); // borrows os and budget
void reader_cache_free(ReaderCache *cache); // when no reader is in use any more; accepts NULL

// The reader of `file`, opened if need be, until reader_cache_release().
Status reader_cache_get(ReaderCache *cache, DataFile *file, CachedReader **out, Err *err);
void reader_cache_release(ReaderCache *cache, CachedReader *reader); // accepts NULL
const ParquetReader *reader_cache_parquet(const CachedReader *reader);
