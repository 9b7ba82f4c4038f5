// SPDX-License-Identifier: Apache-2.0
#include "store/reader_cache.h"

#include "base/mem.h"
#include "codec/hash.h"
#include "os/thread.h"

enum { BUCKETS = 1024 };

struct CachedReader {
    DataFile *file; // a reference
    OsFile *os_file;
    ParquetReader *parquet;
    uint64_t size_bytes;
    CachedReader *chain;         // mu: next in the bucket
    CachedReader *newer, *older; // mu: order of use, while nobody uses it
    size_t users;                // mu
};

struct ReaderCache {
    ReaderCacheOptions options;
    Mutex mu;
    CachedReader *buckets[BUCKETS]; // mu: by address of the file
    CachedReader *newest, *oldest;  // mu: readers without users
    size_t file_count;              // mu: all that are open
    uint64_t size_bytes;            // mu: of all that are open
};

ReaderCache *reader_cache_new(const ReaderCacheOptions *options)
{
    ReaderCache *cache = mem_new(ReaderCache, 1);
    cache->options = *options;
    mutex_init(&cache->mu);
    return cache;
}

static void reader_free(ReaderCache *cache, CachedReader *r)
{
    if (r == NULL) {
        return;
    }
    budget_release(cache->options.budget, r->size_bytes);
    parquet_reader_free(r->parquet);
    os_file_close(r->os_file);
    catalog_file_unref(r->file);
    mem_free(r);
}

void reader_cache_free(ReaderCache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        while (cache->buckets[i] != NULL) {
            CachedReader *r = cache->buckets[i];
            ASSERT(r->users == 0);
            cache->buckets[i] = r->chain;
            reader_free(cache, r);
        }
    }
    mutex_deinit(&cache->mu);
    mem_free(cache);
}

// A cached reader holds a reference to its file, so no other file can have the address meanwhile.
static CachedReader **bucket_of(ReaderCache *cache, const DataFile *file)
{
    return &cache->buckets[hash_u64((uintptr_t)file) % BUCKETS];
}

static CachedReader *find_locked(ReaderCache *cache, const DataFile *file) REQUIRES(cache->mu)
{
    CachedReader *r = *bucket_of(cache, file);
    while (r != NULL && r->file != file) {
        r = r->chain;
    }
    return r;
}

static void idle_remove_locked(ReaderCache *cache, CachedReader *r) REQUIRES(cache->mu)
{
    *(r->newer != NULL ? &r->newer->older : &cache->newest) = r->older;
    *(r->older != NULL ? &r->older->newer : &cache->oldest) = r->newer;
    r->newer = NULL;
    r->older = NULL;
}

static void idle_push_locked(ReaderCache *cache, CachedReader *r) REQUIRES(cache->mu)
{
    r->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = r;
    cache->newest = r;
}

static CachedReader *use_locked(ReaderCache *cache, const DataFile *file) REQUIRES(cache->mu)
{
    CachedReader *r = find_locked(cache, file);
    if (r != NULL && r->users++ == 0) {
        idle_remove_locked(cache, r);
    }
    return r;
}

// Takes one idle reader out of the cache when it is over a bound; NULL when it is not.
static CachedReader *evict_locked(ReaderCache *cache) REQUIRES(cache->mu)
{
    CachedReader *r = cache->oldest;
    if (r == NULL || (cache->file_count <= cache->options.files_max &&
                      cache->size_bytes <= cache->options.bytes_max)) {
        return NULL;
    }
    idle_remove_locked(cache, r);
    CachedReader **at = bucket_of(cache, r->file);
    while (*at != r) {
        at = &(*at)->chain;
    }
    *at = r->chain;
    cache->file_count--;
    cache->size_bytes -= r->size_bytes;
    return r;
}

static void evict(ReaderCache *cache)
{
    CachedReader *gone;
    do {
        mutex_lock(&cache->mu);
        gone = evict_locked(cache);
        mutex_unlock(&cache->mu);
        reader_free(cache, gone); // closes a file: not under the lock
    } while (gone != NULL);
}

static Status reader_open(ReaderCache *cache, DataFile *file, CachedReader **out, Err *err)
{
    Status st = OK;
    ParquetSource source;
    CachedReader *r = mem_new(CachedReader, 1);
    *out = NULL;
    r->file = catalog_file_ref(file);
    TRY_OUT(os_file_open(cache->options.os, file->path, OS_OPEN_READ, &r->os_file, err));
    TRY_OUT(parquet_source_file(r->os_file, &source, err));
    if (source.size_bytes != file->size_bytes) {
        st = err_set(err, ERR_CORRUPT, "it has %" PRIu64 " bytes, but the log says %" PRIu64,
                     source.size_bytes, file->size_bytes);
        goto out;
    }
    TRY_OUT(parquet_reader_open(source, &r->parquet, err));
    r->size_bytes = parquet_reader_memory_bytes(r->parquet) + sizeof(*r);
    budget_charge(cache->options.budget, r->size_bytes);
    *out = r;
    r = NULL;
out:
    reader_free(cache, r);
    return st == OK ? OK : err_prefix(err, "data file '" STR_FMT "': ", STR_ARG(file->path));
}

Status reader_cache_get(ReaderCache *cache, DataFile *file, CachedReader **out, Err *err)
{
    mutex_lock(&cache->mu);
    *out = use_locked(cache, file);
    mutex_unlock(&cache->mu);
    if (*out != NULL) {
        return OK;
    }
    CachedReader *opened = NULL;
    TRY(reader_open(cache, file, &opened, err));
    mutex_lock(&cache->mu);
    *out = use_locked(cache, file);
    if (*out == NULL) { // else another thread was quicker, and ours is not needed
        CachedReader **bucket = bucket_of(cache, file);
        opened->chain = *bucket;
        opened->users = 1;
        *bucket = opened;
        cache->file_count++;
        cache->size_bytes += opened->size_bytes;
        *out = opened;
        opened = NULL;
    }
    mutex_unlock(&cache->mu);
    reader_free(cache, opened);
    evict(cache);
    return OK;
}

void reader_cache_release(ReaderCache *cache, CachedReader *reader)
{
    if (reader == NULL) {
        return;
    }
    mutex_lock(&cache->mu);
    if (--reader->users == 0) {
        idle_push_locked(cache, reader);
    }
    mutex_unlock(&cache->mu);
    evict(cache);
}

const ParquetReader *reader_cache_parquet(const CachedReader *reader)
{
    return reader->parquet;
}
