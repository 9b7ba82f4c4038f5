// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "codec/bitpack_internal.h"
#include "tests/support/test.h"

// One bit at a time: what the format means.
static void naive_pack(const uint64_t *v, size_t count, unsigned width, uint8_t *out)
{
    memset(out, 0, bitpack_size_bytes(count, width));
    for (size_t i = 0; i < count * width; i++) {
        const uint64_t bit = v[i / width] >> (i % width) & 1;
        out[i / 8] = (uint8_t)(out[i / 8] | bit << (i % 8));
    }
}

static size_t count_of_round(Test *t, int round)
{
    static const size_t edges[] = {0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 128, 129};
    return round < (int)ARRAY_LEN(edges) ? edges[round] : test_random(t) % 300;
}

// Buffers of exactly the right size, so that ASan sees a byte too many read or written.
TEST(bitpack, u32_every_width_every_kernel)
{
    const BitpackKernels *all[4];
    const size_t kernels = bitpack_kernels_all(all);
    for (unsigned width = 1; width <= 32; width++) {
        for (int round = 0; round < 20; round++) {
            const size_t count = count_of_round(t, round);
            const size_t size = bitpack_size_bytes(count, width);
            uint64_t *wide = arena_new(&t->arena, uint64_t, count + 1);
            uint32_t *values = arena_new(&t->arena, uint32_t, count + 1);
            for (size_t i = 0; i < count; i++) {
                wide[i] = test_random(t) & codec_mask(width);
                values[i] = (uint32_t)wide[i];
            }
            uint8_t *want = arena_new(&t->arena, uint8_t, size + 1);
            naive_pack(wide, count, width, want);
            for (size_t k = 0; k < kernels; k++) {
                uint8_t *packed = mem_alloc_raw(size);
                uint32_t *back = mem_alloc_raw(count * 4);
                all[k]->pack_u32(values, count, width, packed);
                const bool same = memcmp(packed, want, size) == 0;
                all[k]->unpack_u32((Bytes){packed, size}, count, width, back);
                const bool round_trip = memcmp(back, values, count * 4) == 0;
                mem_free(packed);
                mem_free(back);
                if (!same || !round_trip) {
                    test_fail(t, __FILE__, __LINE__, "%s: width %u count %zu: %s", all[k]->name,
                              width, count, same ? "unpack" : "pack");
                }
            }
        }
    }
}

TEST(bitpack, u64_every_width_every_kernel)
{
    const BitpackKernels *all[4];
    const size_t kernels = bitpack_kernels_all(all);
    for (unsigned width = 1; width <= 64; width++) {
        for (int round = 0; round < 20; round++) {
            const size_t count = count_of_round(t, round);
            const size_t size = bitpack_size_bytes(count, width);
            uint64_t *values = arena_new(&t->arena, uint64_t, count + 1);
            for (size_t i = 0; i < count; i++) {
                values[i] = test_random(t) & codec_mask(width);
            }
            uint8_t *want = arena_new(&t->arena, uint8_t, size + 1);
            naive_pack(values, count, width, want);
            for (size_t k = 0; k < kernels; k++) {
                uint8_t *packed = mem_alloc_raw(size);
                uint64_t *back = mem_alloc_raw(count * 8);
                all[k]->pack_u64(values, count, width, packed);
                const bool same = memcmp(packed, want, size) == 0;
                all[k]->unpack_u64((Bytes){packed, size}, count, width, back);
                const bool round_trip = memcmp(back, values, count * 8) == 0;
                mem_free(packed);
                mem_free(back);
                if (!same || !round_trip) {
                    test_fail(t, __FILE__, __LINE__, "%s: width %u count %zu: %s", all[k]->name,
                              width, count, same ? "unpack" : "pack");
                }
            }
        }
    }
}

// Values at the start of a longer input, as much longer as you like.
TEST(bitpack, within_a_longer_input)
{
    const BitpackKernels *all[4];
    const size_t kernels = bitpack_kernels_all(all);
    for (int round = 0; round < 2000; round++) {
        const unsigned width = 1 + (unsigned)(test_random(t) % 64);
        const size_t count = test_random(t) % 70;
        const size_t size = bitpack_size_bytes(count, width) + test_random(t) % 40;
        uint8_t *in = mem_alloc_raw(size);
        uint64_t want[70];
        uint64_t got[70];
        uint32_t narrow[70];
        for (size_t i = 0; i < size; i++) {
            in[i] = (uint8_t)test_random(t);
        }
        bitpack_unpack_u64(in, count, width, want);
        bool same = true;
        for (size_t k = 0; k < kernels; k++) {
            all[k]->unpack_u64((Bytes){in, size}, count, width, got);
            same = same && memcmp(want, got, count * sizeof(*got)) == 0;
            if (width <= 32) {
                all[k]->unpack_u32((Bytes){in, size}, count, width, narrow);
                for (size_t i = 0; i < count; i++) {
                    same = same && narrow[i] == want[i];
                }
            }
        }
        mem_free(in);
        CHECK(same);
    }
}

TEST(bitpack, spec_example)
{
    // Encodings.md: the numbers 1 through 7 with bit width 3, after a zero.
    static const uint32_t values[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const uint8_t want[3] = {0x88, 0xc6, 0xfa}; // 10001000 11000110 11111010
    uint8_t got[3];
    bitpack_pack_u32(values, 8, 3, got);
    CHECK(memcmp(got, want, 3) == 0);
}

TEST(bitpack, width)
{
    uint32_t v[100] = {0};
    uint64_t w[100] = {0};
    CHECK_EQ(bitpack_width_u32(v, 0), 0);
    CHECK_EQ(bitpack_width_u32(v, 100), 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        const size_t at = test_random(t) % 100;
        v[at] = bit < 32 ? UINT32_C(1) << bit : 0;
        w[at] = UINT64_C(1) << bit;
        if (bit < 32) {
            CHECK_EQ(bitpack_width_u32(v, 100), bit + 1);
        }
        CHECK_EQ(bitpack_width_u64(w, 100), bit + 1);
        v[at] = 0;
        w[at] = 0;
    }
    CHECK_EQ(bitpack_width_of(0), 0);
    CHECK_EQ(bitpack_width_of(255), 8);
    CHECK_EQ(bitpack_width_of(256), 9);
}

TEST(bitpack, width_zero_reads_and_writes_nothing)
{
    uint32_t v[3] = {1, 2, 3};
    bitpack_unpack_u32(NULL, 3, 0, v);
    CHECK(v[0] == 0 && v[1] == 0 && v[2] == 0);
    bitpack_pack_u32(v, 3, 0, NULL);
}
