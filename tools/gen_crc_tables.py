#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/codec/crc_tables_internal.h: slicing-by-8 tables (Kounavis and Berry, "A Systematic
Approach to Building High Performance Software-Based CRC Generators", 2005) and the folding constants
(Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", 2009).

Run it from the root of the source:  tools/gen_crc_tables.py > src/codec/crc_tables_internal.h
"""

POLYNOMIALS = {"castagnoli": 0x11EDC6F41, "ieee": 0x104C11DB7}


def reflect(value: int, bits: int) -> int:
    return int(f"{value:0{bits}b}"[::-1], 2)


def table(poly: int) -> list[list[int]]:
    reflected = reflect(poly & 0xFFFFFFFF, 32)
    rows = [[]]
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (reflected if crc & 1 else 0)
        rows[0].append(crc)
    for _ in range(7):
        rows.append([crc >> 8 ^ rows[0][crc & 0xFF] for crc in rows[-1]])
    return rows


def power(exponent: int, poly: int) -> int:
    """x^exponent mod poly, in the reflected form that a carry-less multiplication wants."""
    value = 1
    for _ in range(exponent):
        value <<= 1
        if value >> 32:
            value ^= poly
    return reflect(value, 32) << 1


def main() -> None:
    print("// SPDX-License-Identifier: Apache-2.0")
    print("//")
    print("// Written by tools/gen_crc_tables.py. Do not edit.")
    print("#pragma once\n\n#include \"base/base.h\"\n\n// clang-format off")
    for name, poly in POLYNOMIALS.items():
        # Folding over 64 bytes, and over 16.
        far = [power(4 * 128 + 32, poly), power(4 * 128 - 32, poly)]
        near = [power(128 + 32, poly), power(128 - 32, poly)]
        for what, pair in (("far", far), ("near", near)):
            values = ", ".join(f"INT64_C(0x{v:09x})" for v in pair)
            print(f"static const int64_t crc_fold_{what}_{name}[2] = {{{values}}};")
        print(f"static const uint32_t crc_table_{name}[8][256] = {{")
        for row in table(poly):
            print("    {")
            for i in range(0, 256, 8):
                print("    " + " ".join(f"0x{v:08x}," for v in row[i:i + 8]))
            print("    },")
        print("};")
    print("// clang-format on")


if __name__ == "__main__":
    main()
