// SPDX-License-Identifier: Apache-2.0
//
// How fast a remote write body becomes arrays, in CPU time of one core: snappy alone, snappy +
// walk, and the walk alone. 7 labels and 1 sample per series, 10,000 series per request, as
// Prometheus sends them.
//
//     remote_write_bench [SERIES_PER_REQUEST [SAMPLES_PER_SERIES [REQUESTS]]]
#include "base/mem.h"
#include "base/rng.h"
#include "codec/compress.h"
#include "os/thread.h"
#include "wire/remote_write.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct Size {
    unsigned series, samples, rounds;
} Size;

static void put_label(Buf *labels, const char *name, const char *value)
{
    remote_write_put_label(labels, (Str){name, strlen(name)}, (Str){value, strlen(value)});
}

static void make_message(Buf *message, Size size, Rng *rng)
{
    enum { SAMPLES_MAX = 1000 };
    static int64_t timestamps_ms[SAMPLES_MAX];
    static double values[SAMPLES_MAX];
    Buf labels;
    buf_init(&labels, 0);
    for (unsigned i = 0; i < size.series; i++) {
        char pod[64], conn[64], instance[64];
        const uint64_t n = i / 100;
        (void)snprintf(pod, sizeof(pod), "api-7d4b9c%04x-%u", (unsigned)(n * 2654435761U % 65536),
                       (unsigned)(n % 97));
        (void)snprintf(conn, sizeof(conn), "c-%u", i * 37);
        (void)snprintf(instance, sizeof(instance), "10.0.%u.%u:9090", (unsigned)(n / 250 % 250),
                       (unsigned)(n % 250));
        buf_clear(&labels);
        put_label(&labels, "__name__", "tcp_connection_bytes_total");
        put_label(&labels, "conn", conn);
        put_label(&labels, "instance", instance);
        put_label(&labels, "job", "node");
        put_label(&labels, "pod", pod);
        put_label(&labels, "region", "eu-west-1");
        put_label(&labels, "service", "checkout");
        for (unsigned s = 0; s < size.samples && s < SAMPLES_MAX; s++) {
            timestamps_ms[s] = INT64_C(1767225600000) + s * INT64_C(15000);
            values[s] = (double)rng_below(rng, 1000000);
        }
        remote_write_put_series(message, buf_bytes(&labels), timestamps_ms, values, size.samples);
    }
    buf_deinit(&labels);
}

static void report(const char *what, double s, Size size, size_t bytes)
{
    const double series = (double)size.series * size.rounds;
    printf("%-24s %7.2f M series/s %7.2f M samples/s %8.0f MB/s\n", what, series / s / 1e6,
           series * size.samples / s / 1e6, (double)bytes * size.rounds / s / 1e6);
}

int main(int argc, char **argv)
{
    const Size size = {.series = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10000,
                       .samples = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1,
                       .rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 300};
    Rng rng = {1};
    Err err;
    Buf message, body;
    RemoteWriteScratch *scratch = remote_write_scratch_new();
    RemoteWriteRequest request;
    RemoteWriteDecoder decoder = {0};
    Compress *compress = compress_new();

    buf_init(&message, 0);
    buf_init(&body, 0);
    make_message(&message, size, &rng);
    if (compress_encode(compress, COMPRESS_SNAPPY, 0, buf_bytes(&message), &body, &err) != OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    printf("%u series of %u samples: %zu bytes, %zu compressed\n", size.series, size.samples,
           message.len, body.len);

    uint8_t *plain = mem_alloc_raw(message.len);
    double start = os_process_cpu_seconds();
    for (unsigned i = 0; i < size.rounds; i++) {
        if (compress_decode(compress, COMPRESS_SNAPPY, buf_bytes(&body), plain, message.len,
                            &err) != OK) {
            return 1;
        }
    }
    report("snappy", os_process_cpu_seconds() - start, size, message.len);

    start = os_process_cpu_seconds();
    for (unsigned i = 0; i < size.rounds; i++) {
        bool more = true;
        RemoteWriteSeries series;
        remote_write_init(&decoder, buf_bytes(&message));
        while (more) {
            if (remote_write_next(&decoder, &series, &more, &err) != OK) {
                return 1;
            }
        }
    }
    report("walk", os_process_cpu_seconds() - start, size, message.len);

    start = os_process_cpu_seconds();
    for (unsigned i = 0; i < size.rounds; i++) {
        if (remote_write_decode(buf_bytes(&body), scratch, &request, &err) != OK) {
            return 1;
        }
    }
    report("snappy + walk + gather", os_process_cpu_seconds() - start, size, message.len);

    remote_write_deinit(&decoder);
    remote_write_scratch_free(scratch);
    compress_free(compress);
    buf_deinit(&message);
    buf_deinit(&body);
    mem_free(plain);
    return 0;
}
