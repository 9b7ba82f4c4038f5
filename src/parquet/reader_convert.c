// SPDX-License-Identifier: Apache-2.0
//
// Physical values to the values of our types. `in` may lie at any address, so it is loaded with
// memcpy, which compilers turn into plain loads.
#include "parquet/reader_internal.h"

enum { INT96_BYTES = 12 };

static const int64_t NANOS_PER_US = 1000;
static const int64_t US_PER_DAY = INT64_C(86400000000);
static const int64_t JULIAN_DAY_OF_1970 = 2440588;

static inline int32_t load_i32(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline int64_t load_i64(const uint8_t *p)
{
    int64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static Status out_of_range(const ParquetLeaf *leaf, int64_t v, Err *err)
{
    return err_set(err, ERR_CORRUPT, "value %" PRId64 " does not fit %s", v,
                   column_type_sql(leaf->type));
}

// Writes n INT32 values as T; on failure says which one does not fit.
#define NARROW(T, name)                                                                            \
    static Status name(const ParquetLeaf *leaf, const uint8_t *in, size_t n, T *out, Err *err)     \
    {                                                                                              \
        int32_t bad = 0;                                                                           \
        for (size_t i = 0; i < n; i++) {                                                           \
            const int32_t v = load_i32(in + i * 4);                                                \
            out[i] = (T)v;                                                                         \
            bad |= v ^ (int32_t)(T)v;                                                              \
        }                                                                                          \
        for (size_t i = 0; i < n && bad != 0; i++) {                                               \
            const int32_t v = load_i32(in + i * 4);                                                \
            if (v != (int32_t)(T)v) {                                                              \
                return out_of_range(leaf, v, err);                                                 \
            }                                                                                      \
        }                                                                                          \
        return OK;                                                                                 \
    }

NARROW(int8_t, narrow_i8)
NARROW(int16_t, narrow_i16)
NARROW(uint8_t, narrow_u8)
NARROW(uint16_t, narrow_u16)

static int64_t floor_div(int64_t v, int64_t by)
{
    return v / by - (v % by < 0);
}

static Status convert_millis(const ParquetLeaf *leaf, const uint8_t *in, size_t n, int64_t *out,
                             Err *err)
{
    for (size_t i = 0; i < n; i++) {
        const int64_t v = load_i64(in + i * 8);
        if (__builtin_mul_overflow(v, (int64_t)1000, &out[i])) {
            return out_of_range(leaf, v, err);
        }
    }
    return OK;
}

static void convert_nanos(const uint8_t *in, size_t n, int64_t *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = floor_div(load_i64(in + i * 8), NANOS_PER_US);
    }
}

// INT96: nanoseconds of the day (8 bytes), Julian day (4 bytes). Nanoseconds past either end of the
// day just move on. Spark writes times far from now with a day that wrapped around; arithmetic that
// wraps around as well brings them back.
static void convert_int96(const uint8_t *in, size_t n, int64_t *out)
{
    for (size_t i = 0; i < n; i++) {
        const int64_t us = floor_div(load_i64(in + i * INT96_BYTES), NANOS_PER_US);
        const int64_t day = load_i32(in + i * INT96_BYTES + 8) - JULIAN_DAY_OF_1970;
        out[i] = (int64_t)((uint64_t)day * (uint64_t)US_PER_DAY + (uint64_t)us);
    }
}

// IEEE 754 binary16 -> binary32, exactly; the payload of a NaN is kept.
static float float_of_half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t exponent = (h >> 10) & 0x1f;
    uint32_t fraction = h & 0x3ff;
    uint32_t bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000 | fraction << 13;
    } else if (exponent != 0) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else if (fraction == 0) {
        bits = sign;
    } else { // subnormal: as a binary32 it is normal
        const uint32_t shift = (uint32_t)__builtin_clz(fraction) - 21;
        fraction = fraction << shift & 0x3ff;
        bits = sign | (113 - shift) << 23 | fraction << 13;
    }
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static void convert_float16(const uint8_t *in, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = float_of_half((uint16_t)(in[2 * i] | in[2 * i + 1] << 8));
    }
}

Status parquet_convert(const ParquetLeaf *leaf, const uint8_t *in, size_t count, void *out,
                       Err *err)
{
    switch (leaf->convert) {
    case PARQUET_CONVERT_COPY:
        if (count > 0) {
            memcpy(out, in, count * leaf->width);
        }
        return OK;
    case PARQUET_CONVERT_INT8:
        return narrow_i8(leaf, in, count, out, err);
    case PARQUET_CONVERT_INT16:
        return narrow_i16(leaf, in, count, out, err);
    case PARQUET_CONVERT_UINT8:
        return narrow_u8(leaf, in, count, out, err);
    case PARQUET_CONVERT_UINT16:
        return narrow_u16(leaf, in, count, out, err);
    case PARQUET_CONVERT_MILLIS:
        return convert_millis(leaf, in, count, out, err);
    case PARQUET_CONVERT_NANOS:
        convert_nanos(in, count, out);
        return OK;
    case PARQUET_CONVERT_INT96:
        convert_int96(in, count, out);
        return OK;
    case PARQUET_CONVERT_FLOAT16:
        convert_float16(in, count, out);
        return OK;
    case PARQUET_CONVERT_BOOL:
    case PARQUET_CONVERT_BYTES:
        break;
    }
    UNREACHABLE();
}
