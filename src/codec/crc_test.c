// SPDX-License-Identifier: Apache-2.0
#include "codec/crc.h"
#include "tests/support/test.h"

// One bit at a time; `poly` is reflected.
static uint32_t naive(uint32_t poly, uint32_t crc, Bytes b)
{
    crc = ~crc;
    for (size_t i = 0; i < b.len; i++) {
        crc ^= b.ptr[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? poly : 0);
        }
    }
    return ~crc;
}

TEST(crc, known_values)
{
    const Bytes digits = {(const uint8_t *)"123456789", 9};
    CHECK_EQ(crc_castagnoli(0, digits), 0xe3069283);
    CHECK_EQ(crc_ieee(0, digits), 0xcbf43926);
    CHECK_EQ(crc_castagnoli(0, (Bytes){0}), 0);
    CHECK_EQ(crc_ieee(7, (Bytes){0}), 7);
    uint8_t block[32] = {0}; // RFC 3720 B.4
    CHECK_EQ(crc_castagnoli(0, (Bytes){block, 32}), 0x8a9136aa);
    memset(block, 0xff, 32);
    CHECK_EQ(crc_castagnoli(0, (Bytes){block, 32}), 0x62a8ab43);
}

TEST(crc, every_kernel_every_length)
{
    const CrcKernels *all[4];
    const size_t kernels = crc_kernels_all(all);
    uint8_t bytes[700];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)test_random(t);
    }
    for (size_t n = 0; n < 600; n++) {
        const size_t from = test_random(t) % 64;
        const Bytes b = {bytes + from, n};
        const uint32_t start = (uint32_t)test_random(t);
        for (size_t k = 0; k < kernels; k++) {
            CHECK_EQ(all[k]->castagnoli(start, b.ptr, n), naive(0x82f63b78, start, b));
            CHECK_EQ(all[k]->ieee(start, b.ptr, n), naive(0xedb88320, start, b));
        }
        const size_t cut = test_random(t) % (n + 1);
        const uint32_t head = crc_ieee(start, (Bytes){b.ptr, cut});
        CHECK_EQ(crc_ieee(head, (Bytes){b.ptr + cut, n - cut}), crc_ieee(start, b));
    }
}
