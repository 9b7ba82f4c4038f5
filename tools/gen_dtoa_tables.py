#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/codec/dtoa_tables_internal.h: powers of ten as 128-bit numbers with the top bit set,
rounded up, for Schubfach (Giulietti, "The Schubfach way to render doubles", 2020, section 9.8.3).

Run it from the root of the source:  tools/gen_dtoa_tables.py > src/codec/dtoa_tables_internal.h
"""

MIN, MAX = -292, 324


def power(k: int) -> int:
    if k >= 0:
        exact = 10**k
        shift = exact.bit_length() - 128
        return exact << -shift if shift <= 0 else -(-exact >> shift)
    divisor = 10**-k
    shift = 127 + divisor.bit_length()
    g = -(-(1 << shift) // divisor)
    return g if g.bit_length() == 128 else -(-(1 << shift - 1) // divisor)


def main() -> None:
    print("// SPDX-License-Identifier: Apache-2.0")
    print("//")
    print("// Written by tools/gen_dtoa_tables.py. Do not edit.")
    print("#pragma once\n\n#include \"base/base.h\"\n")
    print(f"enum {{ DTOA_POWER_MIN = {MIN}, DTOA_POWER_MAX = {MAX} }};\n")
    print("// clang-format off")
    print(f"static const uint64_t dtoa_powers[{MAX - MIN + 1}][2] = {{ // high, low")
    for k in range(MIN, MAX + 1):
        g = power(k)
        assert g.bit_length() == 128
        print(f"    {{0x{g >> 64:016x}, 0x{g & (1 << 64) - 1:016x}}}, // 10^{k}")
    print("};\n// clang-format on")


if __name__ == "__main__":
    main()
