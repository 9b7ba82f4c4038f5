// SPDX-License-Identifier: Apache-2.0
//
// codec_bench [FILTER]: every kernel of codec, scalar and not, one JSON line each:
//
//     {"bench":"unpack_u32","param":7,"kernel":"avx2","ns":0.12,"unit":"value","gb_per_s":33.1}
//
// gb_per_s counts decoded bytes. Numbers compare within one run only; each is the best of several
// rounds over data that fits the second-level cache.
#include "base/mem.h"
#include "base/rng.h"
#include "codec/bitpack.h"
#include "codec/bss.h"
#include "codec/bss_internal.h"
#include "codec/compress.h"
#include "codec/crc.h"
#include "codec/delta.h"
#include "codec/dtoa.h"
#include "codec/hash.h"
#include "codec/minmax.h"
#include "codec/rle.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { VALUES = 16384, ROUNDS = 200, MIN_NS = 20000 };

static const char *filter = "";
static uint64_t sink; // results end here, so that no work is optimised away

typedef struct Data {
    uint64_t u64[VALUES];
    uint32_t u32[VALUES];
    uint64_t out64[VALUES];
    uint32_t out32[VALUES];
    uint8_t bytes[VALUES * 8 + 64];
} Data;

static Data d;

static uint64_t now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

typedef struct Case {
    const char *name;
    unsigned param;
    const char *kernel;
    size_t units;      // values or bytes per call
    size_t unit_bytes; // of one, decoded
    const void *kernels;
} Case;

// Runs `body` until a round is long enough to time; prints the best of ROUNDS rounds.
static void run(const Case *c, void (*body)(const Case *c))
{
    if (strstr(c->name, filter) == NULL) {
        return;
    }
    size_t repeat = 1;
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t start = now_ns();
        for (size_t i = 0; i < repeat; i++) {
            body(c);
        }
        const uint64_t took = now_ns() - start;
        if (took < MIN_NS) {
            repeat *= 2;
            continue;
        }
        const double ns = (double)took / (double)repeat / (double)c->units;
        best = ns < best ? ns : best;
    }
    printf("{\"bench\":\"%s\",\"param\":%u,\"kernel\":\"%s\",\"ns\":%.3f,\"unit\":\"%s\","
           "\"gb_per_s\":%.2f}\n",
           c->name, c->param, c->kernel, best, c->unit_bytes == 1 ? "byte" : "value",
           (double)c->unit_bytes / best);
}

static void fill(unsigned width)
{
    Rng rng = {width};
    for (size_t i = 0; i < VALUES; i++) {
        const uint64_t v = rng_next(&rng);
        d.u64[i] = width == 0 ? 0 : v >> (64 - width);
        d.u32[i] = (uint32_t)d.u64[i];
    }
}

// ---- bit packing

static void unpack_u32(const Case *c)
{
    ((const BitpackKernels *)c->kernels)
        ->unpack_u32((Bytes){d.bytes, sizeof(d.bytes)}, VALUES, c->param, d.out32);
}

static void unpack_u64(const Case *c)
{
    ((const BitpackKernels *)c->kernels)
        ->unpack_u64((Bytes){d.bytes, sizeof(d.bytes)}, VALUES, c->param, d.out64);
}

static void pack_u32(const Case *c)
{
    ((const BitpackKernels *)c->kernels)->pack_u32(d.u32, VALUES, c->param, d.bytes);
}

static void pack_u64(const Case *c)
{
    ((const BitpackKernels *)c->kernels)->pack_u64(d.u64, VALUES, c->param, d.bytes);
}

static void bench_bitpack(void)
{
    static const unsigned widths[] = {1, 3, 7, 8, 13, 17, 24, 31};
    const BitpackKernels *all[4];
    const size_t count = bitpack_kernels_all(all);
    for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
        for (size_t k = 0; k < count; k++) {
            fill(widths[w]);
            Case c = {"unpack_u32", widths[w], all[k]->name, VALUES, 4, all[k]};
            run(&c, unpack_u32);
            c.name = "pack_u32";
            run(&c, pack_u32);
            c.unit_bytes = 8;
            c.name = "unpack_u64";
            run(&c, unpack_u64);
            c.name = "pack_u64";
            run(&c, pack_u64);
        }
    }
}

// ---- RLE and delta

static void rle_encode(const Case *c)
{
    Buf *b = (Buf *)(uintptr_t)c->kernels;
    RleEncoder e;
    buf_clear(b);
    rle_encoder_init(&e, b, c->param);
    rle_put_values(&e, d.u32, VALUES);
    rle_encoder_finish(&e);
}

static void rle_decode_all(const Case *c)
{
    Err err;
    RleDecoder r;
    const Buf *b = c->kernels;
    if (rle_decoder_init(&r, buf_bytes(b), c->param, c->param == 1 ? 1 : (1U << c->param) - 2,
                         &err) != OK ||
        rle_decode(&r, d.out32, VALUES, &err) != OK) {
        sink++;
    }
}

static void delta_encode(const Case *c)
{
    Buf *b = (Buf *)(uintptr_t)c->kernels;
    buf_clear(b);
    delta_put_i64(b, (const int64_t *)d.u64, VALUES);
}

static void delta_decode(const Case *c)
{
    Err err;
    Reader r = reader_of(buf_bytes(c->kernels));
    if (delta_get_i64(&r, VALUES, (int64_t *)d.out64, &err) != OK) {
        sink++;
    }
}

static void bench_rle(void)
{
    static const unsigned widths[] = {1, 8, 14};
    Buf b;
    buf_init(&b, 0);
    for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
        fill(widths[w]);
        for (size_t i = 0; i < VALUES; i++) { // one value is missing, so that the check is made
            const bool last = widths[w] > 1 && d.u32[i] == (1U << widths[w]) - 1;
            d.u32[i] = last ? 0 : d.u32[i];
        }
        Case c = {"rle_encode_random", widths[w], "chosen", VALUES, 4, &b};
        run(&c, rle_encode);
        c.name = "rle_decode_random";
        run(&c, rle_decode_all);
        for (size_t i = 1; i < VALUES; i++) {
            d.u32[i] = i % 20 == 0 ? d.u32[i] : d.u32[i - 1];
        }
        c.name = "rle_encode_runs_of_20";
        run(&c, rle_encode);
        c.name = "rle_decode_runs_of_20";
        run(&c, rle_decode_all);
    }
    Rng rng = {1};
    uint64_t clock = 1700000000000000;
    for (size_t i = 0; i < VALUES; i++) {
        clock += 15000000 + rng_below(&rng, 1000);
        d.u64[i] = clock;
    }
    Case c = {"delta_encode_i64", 10, "chosen", VALUES, 8, &b};
    run(&c, delta_encode);
    c.name = "delta_decode_i64";
    run(&c, delta_decode);
    buf_deinit(&b);
}

// ---- bytes

static void bss_encode_all(const Case *c)
{
    ((const BssKernels *)c->kernels)
        ->encode((const uint8_t *)d.u64, VALUES * 8 / c->param, c->param, d.bytes);
}

static void bss_decode_all(const Case *c)
{
    const size_t count = VALUES * 8 / c->param;
    ((const BssKernels *)c->kernels)->decode(d.bytes, count, count, c->param, (uint8_t *)d.u64);
}

static void crc_castagnoli_all(const Case *c)
{
    sink += ((const CrcKernels *)c->kernels)->castagnoli(0, d.bytes, c->units);
}

static void crc_ieee_all(const Case *c)
{
    sink += ((const CrcKernels *)c->kernels)->ieee(0, d.bytes, c->units);
}

static void xxh64_all(const Case *c)
{
    sink += hash_xxh64((Bytes){d.bytes, c->units});
}

static void xxh3_all(const Case *c)
{
    sink += hash_xxh3_64((Bytes){d.bytes, c->units}, 0);
}

static void xxh64_u64s(const Case *c)
{
    (void)c;
    hash_xxh64_fixed(d.u64, 8, VALUES, d.out64);
}

static void bench_bytes(void)
{
    const BssKernels *bss[4];
    const CrcKernels *crc[4];
    static const unsigned widths[] = {2, 4, 8, 16};
    static const size_t sizes[] = {32, 100, 1000, VALUES * 8};
    fill(64);
    for (size_t k = 0, n = bss_kernels_all(bss); k < n; k++) {
        for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
            Case c = {"bss_encode", widths[w], bss[k]->name, VALUES * 8, 1, bss[k]};
            run(&c, bss_encode_all);
            c.name = "bss_decode";
            run(&c, bss_decode_all);
        }
    }
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        for (size_t k = 0, n = crc_kernels_all(crc); k < n; k++) {
            Case c = {"crc_castagnoli", (unsigned)sizes[s], crc[k]->name, sizes[s], 1, crc[k]};
            run(&c, crc_castagnoli_all);
            c.name = "crc_ieee";
            run(&c, crc_ieee_all);
        }
        Case c = {"xxh64", (unsigned)sizes[s], "xxhash", sizes[s], 1, NULL};
        run(&c, xxh64_all);
        c.name = "xxh3_64";
        run(&c, xxh3_all);
    }
    const Case c = {"xxh64_u64s", 8, "xxhash", VALUES, 8, NULL};
    run(&c, xxh64_u64s);
}

// ---- the rest

static void minmax_f64_all(const Case *c)
{
    double min = 0;
    double max = 0;
    sink += ((const MinmaxKernels *)c->kernels)->f64((const double *)d.u64, VALUES, &min, &max);
}

static void minmax_i64_all(const Case *c)
{
    int64_t min = 0;
    int64_t max = 0;
    ((const MinmaxKernels *)c->kernels)->i64((const int64_t *)d.u64, VALUES, &min, &max);
    sink += (uint64_t)(max - min);
}

static void minmax_u32_all(const Case *c)
{
    uint32_t min = 0;
    uint32_t max = 0;
    ((const MinmaxKernels *)c->kernels)->u32(d.u32, VALUES, &min, &max);
    sink += max - min;
}

static void print_f64(const Case *c)
{
    char text[DTOA_BYTES_MAX];
    for (size_t i = 0; i < c->units; i++) {
        double v = 0;
        memcpy(&v, &d.u64[i], sizeof(v));
        sink += dtoa_f64(v, DTOA_PROM, text);
    }
}

static void print_f64_by_libc(const Case *c)
{
    char text[DTOA_BYTES_MAX];
    for (size_t i = 0; i < c->units; i++) {
        double v = 0;
        memcpy(&v, &d.u64[i], sizeof(v));
        sink += (uint64_t)snprintf(text, sizeof(text), "%.17g", v);
    }
}

static void bench_values(void)
{
    const MinmaxKernels *all[4];
    fill(62); // no NaN or infinity among the doubles
    for (size_t k = 0, n = minmax_kernels_all(all); k < n; k++) {
        Case c = {"minmax_f64", 0, all[k]->name, VALUES, 8, all[k]};
        run(&c, minmax_f64_all);
        c.name = "minmax_i64";
        run(&c, minmax_i64_all);
        c.name = "minmax_u32";
        c.unit_bytes = 4;
        run(&c, minmax_u32_all);
    }
    Case c = {"dtoa_random_bits", 17, "schubfach", 1000, 8, NULL};
    run(&c, print_f64);
    c.kernel = "libc %.17g";
    run(&c, print_f64_by_libc);
    for (size_t i = 0; i < VALUES; i++) {
        const double v = (double)(d.u64[i] % 100000) / 100;
        memcpy(&d.u64[i], &v, sizeof(v));
    }
    c.name = "dtoa_two_decimals";
    c.kernel = "schubfach";
    run(&c, print_f64);
    for (size_t i = 0; i < VALUES; i++) {
        const double v = (double)(i * 12345);
        memcpy(&d.u64[i], &v, sizeof(v));
    }
    c.name = "dtoa_integers";
    run(&c, print_f64);
}

// ---- compression

typedef struct Block {
    Compress *compress;
    CompressKind kind;
    Buf packed;
} Block;

static void compress_block(const Case *c)
{
    Err err;
    Block *block = (Block *)(uintptr_t)c->kernels;
    buf_clear(&block->packed);
    const Bytes in = {d.bytes, c->units};
    if (compress_encode(block->compress, block->kind, 0, in, &block->packed, &err) != OK) {
        sink++;
    }
}

static void decompress_block(const Case *c)
{
    Err err;
    const Block *block = c->kernels;
    if (compress_decode(block->compress, block->kind, buf_bytes(&block->packed), (uint8_t *)d.out64,
                        c->units, &err) != OK) {
        sink++;
    }
}

static void bench_compress(void)
{
    static const CompressKind kinds[] = {COMPRESS_SNAPPY, COMPRESS_LZ4_RAW, COMPRESS_ZSTD,
                                         COMPRESS_GZIP};
    Rng rng = {7};
    size_t len = 0;
    while (len < VALUES * 8 - 64) { // log lines, more or less
        len += (size_t)snprintf((char *)d.bytes + len, 64, "pod=web-%u status=%u took=%u ",
                                (unsigned)rng_below(&rng, 100), (unsigned)rng_below(&rng, 5) * 100,
                                (unsigned)rng_below(&rng, 100000));
    }
    Block block = {.compress = compress_new()};
    buf_init(&block.packed, 0);
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        block.kind = kinds[k];
        Case c = {"compress", 0, compress_kind_text(kinds[k]), len, 1, &block};
        run(&c, compress_block);
        c.param = (unsigned)block.packed.len;
        c.name = "decompress";
        run(&c, decompress_block);
    }
    buf_deinit(&block.packed);
    compress_free(block.compress);
}

int main(int argc, char **argv)
{
    filter = argc > 1 ? argv[1] : "";
    bench_bitpack();
    bench_rle();
    bench_bytes();
    bench_values();
    bench_compress();
    return (int)(sink & 0); // the sums are used
}
