// SPDX-License-Identifier: Apache-2.0
//
// Group commit and recovery of the write-ahead log, on a real folder (argument 1, else $TMPDIR).
// Every line: what, threads, frames per second, MB/s, fdatasyncs, median and 99th percentile of the
// time of one append + commit, and the longest. "fresh" goes to new segments, "reused" to ones that were trimmed.
#include "base/mem.h"
#include "os/thread.h"
#include "store/wal.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MAX = 32, SAMPLE_BYTES = 16 };

typedef struct Client {
    Wal *wal;
    const uint8_t *payload;
    size_t frame_bytes, frames;
    int64_t *latency_ns;
    Thread thread;
} Client;

static void die(const Err *err)
{
    (void)fprintf(stderr, "%s\n", err->msg);
    exit(1); // NOLINT(concurrency-mt-unsafe)
}

static void run_client(void *arg)
{
    Client *c = arg;
    Err err;
    for (size_t i = 0; i < c->frames; i++) {
        uint64_t sequence = 0;
        const WalFrame frame = {.payload = {.ptr = c->payload, .len = c->frame_bytes}};
        const int64_t start = os_mono_ns(os_posix());
        if (wal_append(c->wal, &frame, &sequence, &err) != OK ||
            wal_commit(c->wal, sequence, &err) != OK) {
            die(&err);
        }
        c->latency_ns[i] = os_mono_ns(os_posix()) - start;
    }
}

static int compare_i64(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

typedef struct Run {
    const char *name;
    size_t threads, frame_bytes, total_bytes;
} Run;

static void run(Wal *wal, Run r)
{
    Err err;
    Client clients[THREADS_MAX] = {0};
    const size_t per_client = r.total_bytes / r.frame_bytes / r.threads;
    int64_t *latency_ns = mem_new(int64_t, per_client * r.threads);
    uint8_t *payload = mem_alloc_raw(r.frame_bytes);
    memset(payload, 0x5a, r.frame_bytes);
    WalUsage before;
    WalUsage after;
    wal_usage(wal, &before);
    const int64_t start = os_mono_ns(os_posix());
    const double cpu = os_process_cpu_seconds();
    for (size_t i = 0; i < r.threads; i++) {
        clients[i] = (Client){.wal = wal,
                              .payload = payload,
                              .frame_bytes = r.frame_bytes,
                              .frames = per_client,
                              .latency_ns = latency_ns + i * per_client};
        if (thread_start(&clients[i].thread, "client", run_client, &clients[i], &err) != OK) {
            die(&err);
        }
    }
    for (size_t i = 0; i < r.threads; i++) {
        thread_join(&clients[i].thread);
    }
    const double seconds = (double)(os_mono_ns(os_posix()) - start) / 1e9;
    wal_usage(wal, &after);
    const size_t frames = per_client * r.threads;
    qsort(latency_ns, frames, sizeof(*latency_ns), compare_i64);
    const int64_t p50 = latency_ns[frames / 2];
    const int64_t p99 = latency_ns[frames * 99 / 100];
    const double bytes = (double)frames * (double)r.frame_bytes;
    printf("%-8s %2zu threads %7zu B  %8.0f frames/s %7.0f MB/s %6.1f M samples/s  %6" PRIu64
           " syncs  p50 %6.0f us  p99 %6.0f us  max %6.0f us  cpu %.2f s\n",
           r.name, r.threads, r.frame_bytes, (double)frames / seconds, bytes / seconds / 1e6,
           bytes / SAMPLE_BYTES / seconds / 1e6, after.syncs - before.syncs, (double)p50 / 1e3,
           (double)p99 / 1e3, (double)latency_ns[frames - 1] / 1e3, os_process_cpu_seconds() - cpu);
    (void)fflush(stdout);
    mem_free(payload);
    mem_free(latency_ns);
}

static Status count_frame(void *ctx, const WalFrame *frame, Err *err)
{
    (void)err;
    *(uint64_t *)ctx += frame->payload.len;
    return OK;
}

static Wal *open_log(Str dir, WalDurability durability)
{
    Err err;
    Wal *wal = NULL;
    WalReport report;
    uint64_t bytes = 0;
    const WalOptions options = {.os = os_posix(), .dir = dir, .durability = durability};
    const int64_t start = os_mono_ns(os_posix());
    if (wal_open(&options, count_frame, &bytes, &wal, &report, &err) != OK) {
        die(&err);
    }
    const double seconds = (double)(os_mono_ns(os_posix()) - start) / 1e9;
    printf("open     %" PRIu64 " frames, %.0f MB in %.3f s: %.2f GB/s\n", report.frames,
           (double)bytes / 1e6, seconds, (double)bytes / seconds / 1e9);
    return wal;
}

static void trim(Wal *wal)
{
    Err err;
    if (wal_rotate(wal, &err) != OK || wal_trim(wal, wal_last_sequence(wal) + 1, &err) != OK) {
        die(&err);
    }
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe)
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/wal_bench.%" PRId64,
                   argc > 1 ? argv[1] : (tmp != NULL ? tmp : "/tmp"), os_mono_ns(os_posix()));
    const Str dir = {.ptr = path, .len = strlen(path)};
    Wal *wal = open_log(dir, WAL_SYNC);
    const size_t mb = 1 << 20;
    run(wal, (Run){"fresh", 1, 64 << 10, 64 * mb});
    run(wal, (Run){"fresh", 8, 64 << 10, 64 * mb});
    trim(wal);
    run(wal, (Run){"reused", 1, 64 << 10, 60 * mb});
    run(wal, (Run){"reused", 8, 64 << 10, 60 * mb});
    trim(wal);
    run(wal, (Run){"reused", 8, 1 << 20, 60 * mb});
    trim(wal);
    run(wal, (Run){"reused", 1, 256, mb / 4});
    run(wal, (Run){"reused", 8, 256, mb / 2});
    trim(wal);
    wal_close(wal);
    wal = open_log(dir, WAL_INTERVAL);
    run(wal, (Run){"interval", 1, 64 << 10, 128 * mb});
    run(wal, (Run){"interval", 8, 64 << 10, 512 * mb});
    wal_close(wal);
    wal = open_log(dir, WAL_SYNC);
    trim(wal);
    wal_close(wal);
    return 0;
}
