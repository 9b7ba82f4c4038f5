// SPDX-License-Identifier: Apache-2.0
//
// Writers, flushes and scans at the same time on real files. Each writer has series of its own and
// writes sample 0, 1, 2, ... of them; so a scan must find a prefix of these, each once, that holds
// at least what was acknowledged before its snapshot. For ThreadSanitizer as much as for the rules.
#include "base/mem.h"
#include "os/thread.h"
#include "store/scan.h"
#include "store/store.h"

#include "tests/model/store_model.h"

#include <stdatomic.h>
#include <stdio.h>

enum { WRITERS = 3, SCANNERS = 2, BATCHES = 1500, BATCH_SAMPLES = 20, WORKERS = 2, FLUSHES = 6 };

#define START_MS (INT64_C(20000) * 86400000 + 86380000) // goes on into the next day

typedef struct World {
    Store *store;
    atomic_uint acked[WRITERS]; // samples of each; release by the writer, acquire by scanners
    atomic_uint writing;        // writers that are not done
    atomic_uint flushes;        // done; writers wait for them, so that there are several files
    atomic_uint failures;
} World;

typedef struct Actor {
    World *world;
    uint32_t number;
    Thread thread;
    char why[256]; // of a failure
} Actor;

static void fail(Actor *a, const char *what, const Err *err)
{
    (void)snprintf(a->why, sizeof(a->why), "%s%s%.200s", what, err != NULL ? ": " : "",
                   err != NULL ? err->msg : "");
    atomic_fetch_add_explicit(&a->world->failures, 1, memory_order_relaxed);
}

static void run_writer(void *arg)
{
    Actor *a = arg;
    World *w = a->world;
    Err err;
    MetricsResult result;
    SampleBatch *batch = sample_batch_new();
    const char writer[2] = {(char)('0' + a->number), 0};
    uint32_t next = 0;
    for (uint32_t i = 0; i < BATCHES; i++) {
        while (atomic_load_explicit(&w->flushes, memory_order_relaxed) < i * FLUSHES / BATCHES &&
               atomic_load_explicit(&w->failures, memory_order_relaxed) == 0) {
            os_sleep_ns(os_posix(), 1000000);
        }
        sample_batch_clear(batch);
        for (int k = 0; k < BATCH_SAMPLES; k++, next++) {
            const char pod[2] = {(char)('a' + next % 7), 0};
            const Label labels[] = {
                {STR("__name__"), STR("up")}, {STR("pod"), {pod, 1}}, {STR("writer"), {writer, 1}}};
            sample_batch_add(batch, labels, 3, START_MS + next * 10, next);
        }
        if (sample_batch_write(batch, w->store, &result, &err) != OK) {
            fail(a, "write", &err);
            break;
        }
        atomic_store_explicit(&w->acked[a->number], next, memory_order_release);
    }
    sample_batch_free(batch);
    atomic_fetch_sub_explicit(&w->writing, 1, memory_order_relaxed);
}

static void run_flusher(void *arg)
{
    Actor *a = arg;
    Err err;
    while (atomic_load_explicit(&a->world->writing, memory_order_relaxed) > 0) {
        if (store_flush(a->world->store, STR("metrics"), &err) != OK) {
            fail(a, "flush", &err);
        }
        atomic_fetch_add_explicit(&a->world->flushes, 1, memory_order_relaxed);
        os_sleep_ns(os_posix(), 3000000);
    }
}

// --- scanning ------------------------------------------------------------------------------------

typedef struct Worker {
    Scan *scan;
    uint8_t *seen[WRITERS]; // how often; shared, each sample belongs to one row
    Mutex *mu;
    bool failed;
    Err err;
    Thread thread;
} Worker;

static void count_rows(Worker *w, const Batch *batch)
{
    mutex_lock(w->mu);
    for (uint32_t row = 0; row < batch->row_count; row++) {
        const Vector *flat;
        uint32_t at;
        uint64_t value;
        ASSERT(vector_locate(&batch->columns[0], row, &flat, &at));
        memcpy(&value, (const double *)flat->data + at, sizeof(value));
        ASSERT(vector_locate(&batch->columns[1], row, &flat, &at));
        const uint32_t writer = (uint32_t)(vector_flat_str(flat, at).ptr[0] - '0');
        ASSERT(writer < WRITERS && value < BATCHES * BATCH_SAMPLES);
        w->seen[writer][value]++;
    }
    mutex_unlock(w->mu);
}

static void run_worker(void *arg)
{
    Worker *w = arg;
    ScanWorker *worker = NULL;
    Status st = scan_worker_open(w->scan, &worker, &w->err);
    while (st == OK) {
        Batch batch;
        st = scan_worker_next(worker, &batch, &w->err);
        if (st != OK || batch.row_count == 0) {
            break;
        }
        count_rows(w, &batch);
    }
    w->failed = st != OK;
    scan_worker_close(worker);
}

static void check_seen(Actor *a, uint8_t *const *seen, const uint32_t *acked)
{
    for (uint32_t writer = 0; writer < WRITERS; writer++) {
        bool ended = false;
        for (uint32_t i = 0; i < BATCHES * BATCH_SAMPLES; i++) {
            const uint8_t times = seen[writer][i];
            if (times > 1) {
                fail(a, "a sample is there twice", NULL);
            } else if (times == 0 && i < acked[writer]) {
                fail(a, "an acknowledged sample is missing", NULL);
            }
            ended = ended || times == 0;
        }
    }
}

static void scan_once(Actor *a)
{
    World *w = a->world;
    Err err;
    Snapshot *snapshot = NULL;
    Scan *scan = NULL;
    Mutex mu;
    Worker workers[WORKERS] = {0};
    uint8_t *seen[WRITERS];
    uint32_t acked[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++) {
        acked[i] = atomic_load_explicit(&w->acked[i], memory_order_acquire);
        seen[i] = mem_new(uint8_t, BATCHES * BATCH_SAMPLES);
    }
    mutex_init(&mu);
    Status st = snapshot_open(w->store, STR("metrics"), &snapshot, &err);
    const size_t writer =
        st == OK ? schema_find(snapshot_schema(snapshot), STR("writer")) : SIZE_MAX;
    const size_t columns[] = {2, writer};
    const ScanOptions options = {.columns = columns, .column_count = 2};
    if (st == OK && writer != SIZE_MAX) {
        st = scan_open(snapshot, &options, &scan, &err);
        for (size_t i = 0; st == OK && i < WORKERS; i++) {
            workers[i] = (Worker){.scan = scan, .mu = &mu};
            memcpy(workers[i].seen, seen, sizeof(seen));
            st = thread_start(&workers[i].thread, "scan", run_worker, &workers[i], &err);
        }
        for (size_t i = 0; i < WORKERS; i++) {
            thread_join(&workers[i].thread);
            if (workers[i].failed) {
                fail(a, "scan", &workers[i].err);
            }
        }
        check_seen(a, seen, acked);
    }
    if (st != OK) {
        fail(a, "scan", &err);
    }
    scan_close(scan);
    snapshot_close(snapshot);
    mutex_deinit(&mu);
    for (uint32_t i = 0; i < WRITERS; i++) {
        mem_free(seen[i]);
    }
}

static void run_scanner(void *arg)
{
    Actor *a = arg;
    bool last;
    do {
        last = atomic_load_explicit(&a->world->writing, memory_order_relaxed) == 0;
        scan_once(a);
    } while (!last);
}

TEST(store_threads, writers_flushes_and_scans_at_once)
{
    Err err;
    World w = {0};
    enum { ACTORS = WRITERS + SCANNERS + 1 };
    Actor actors[ACTORS] = {0};
    const StoreOptions options = {.os = os_posix(),
                                  .dir = test_dir(t),
                                  .durability = WAL_INTERVAL,
                                  .flush_interval_ms = 20,
                                  .wal_segment_bytes = 256 << 10};
    CHECK_OK(store_open(&options, &w.store, NULL, &err));
    atomic_store_explicit(&w.writing, WRITERS, memory_order_relaxed);
    for (uint32_t i = 0; i < ACTORS; i++) {
        actors[i].world = &w;
        actors[i].number = i;
        CHECK_OK(thread_start(&actors[i].thread, "actor",
                              i < WRITERS    ? run_writer
                              : i == WRITERS ? run_flusher
                                             : run_scanner,
                              &actors[i], &err));
    }
    for (uint32_t i = 0; i < ACTORS; i++) {
        thread_join(&actors[i].thread);
        CHECK_STR(((Str){actors[i].why, strlen(actors[i].why)}), STR(""));
    }
    CHECK_EQ(atomic_load_explicit(&w.failures, memory_order_relaxed), 0);
    StoreFigures figures;
    store_figures(w.store, &figures);
    CHECK(figures.flushes >= FLUSHES - 1); // the first may have found nothing
    CHECK_OK(store_close(w.store, true, &err));
}
