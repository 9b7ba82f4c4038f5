// SPDX-License-Identifier: Apache-2.0
#include "wire/remote_write.h"

#include "base/mem.h"
#include "codec/compress.h"
#include "codec/varint.h"
#include "tests/support/test.h"

#define BYTES(literal) ((Bytes){.ptr = (const uint8_t *)("" literal), .len = sizeof(literal) - 1})

typedef struct Decoded {
    Status status;
    size_t series_count;
    RemoteWriteSeries series[64];
    Err err;
} Decoded;

static Decoded decode(RemoteWriteDecoder *d, Bytes message)
{
    Decoded out = {.status = OK};
    bool more = true;
    remote_write_init(d, message);
    while (more && out.status == OK && out.series_count < ARRAY_LEN(out.series)) {
        out.status = remote_write_next(d, &out.series[out.series_count], &more, &out.err);
        out.series_count += out.status == OK && more ? 1 : 0;
    }
    return out;
}

static Str str_of(Bytes b)
{
    return (Str){.ptr = (const char *)b.ptr, .len = b.len};
}

static bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

// A sample of value 1 (3f f0 ...) at 5 ms, and the labels a="b" and c="d".
#define SAMPLE "\x12\x0b\x09\0\0\0\0\0\0\xf0\x3f\x10\x05"
#define LABEL_AB "\x0a\x06\x0a\x01\x61\x12\x01\x62"
#define LABEL_CD "\x0a\x06\x0a\x01\x63\x12\x01\x64"

TEST(remote_write, one_series)
{
    RemoteWriteDecoder d = {0};
    const Decoded got = decode(&d, BYTES("\x0a\x1d" LABEL_AB LABEL_CD SAMPLE));
    CHECK_EQ(got.status, OK);
    CHECK_EQ(got.series_count, 1);
    CHECK_STR(str_of(got.series[0].labels), STR(LABEL_AB LABEL_CD));
    CHECK_EQ(got.series[0].sample_first, 0);
    CHECK_EQ(got.series[0].sample_count, 1);
    CHECK_EQ(d.timestamps_ms[0], 5);
    CHECK(d.values[0] == 1.0);
    remote_write_deinit(&d);
}

TEST(remote_write, unusual_but_valid)
{
    static const struct {
        const char *why;
        Bytes message;
        size_t samples, exemplars, histograms, metadata;
        Str labels; // of the first series
    } cases[] = {
        {"no series at all", BYTES(""), 0, 0, 0, 0, STR("")},
        {"a series of nothing", BYTES("\x0a\x00"), 0, 0, 0, 0, STR("")},
        {"samples before labels", BYTES("\x0a\x15" SAMPLE LABEL_AB), 1, 0, 0, 0, STR(LABEL_AB)},
        {"labels around a sample", BYTES("\x0a\x1d" LABEL_AB SAMPLE LABEL_CD), 1, 0, 0, 0,
         STR(LABEL_AB LABEL_CD)},
        {"a label whose tag is longer than needed",
         BYTES("\x0a\x11" LABEL_AB "\x8a\x00\x06\x0a\x01\x63\x12\x01\x64"), 0, 0, 0, 0,
         STR(LABEL_AB LABEL_CD)},
        {"timestamp before value", BYTES("\x0a\x0d\x12\x0b\x10\x05\x09\0\0\0\0\0\0\xf0\x3f"), 1, 0,
         0, 0, STR("")},
        {"a sample of nothing is zero at zero", BYTES("\x0a\x02\x12\x00"), 1, 0, 0, 0, STR("")},
        {"an exemplar", BYTES("\x0a\x0c" LABEL_AB "\x1a\x02\x18\x22"), 0, 1, 0, 0, STR(LABEL_AB)},
        {"a native histogram", BYTES("\x0a\x0c" LABEL_AB "\x22\x02\x08\x07"), 1, 0, 1, 0,
         STR(LABEL_AB)},
        {"unknown fields of every wire type",
         BYTES("\x0a\x28" LABEL_AB "\x28\x96\x01\x31\1\2\3\4\5\6\7\x08\x3a\x02hi\x45\1\2\3\4"
               "\x12\x09\x09\0\0\0\0\0\0\xf0\x3f"),
         1, 0, 0, 0, STR(LABEL_AB)},
        {"unknown fields outside", BYTES("\x28\x01\x32\x01x\x0a\x08" LABEL_AB), 0, 0, 0, 0,
         STR(LABEL_AB)},
        {"metadata between series",
         BYTES("\x1a\x10\x08\x01\x12\x03up_\x22\x02ok\x2a\x03sec\x0a\x08" LABEL_AB), 0, 0, 0, 1,
         STR(LABEL_AB)},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        RemoteWriteDecoder d = {0};
        const Decoded got = decode(&d, cases[i].message);
        if (got.status != OK) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", cases[i].why, got.err.msg);
        }
        CHECK_EQ(d.sample_count, cases[i].samples);
        CHECK_EQ(d.exemplar_count, cases[i].exemplars);
        CHECK_EQ(d.histogram_count, cases[i].histograms);
        CHECK_EQ(d.metadata_count, cases[i].metadata);
        if (got.series_count > 0) {
            CHECK_STR(str_of(got.series[0].labels), cases[i].labels);
        }
        remote_write_deinit(&d);
    }
}

TEST(remote_write, histograms_stand_between_floats_as_they_were_sent)
{
    // Count 7 at 9 ms; a field behind the timestamp; nothing at all.
    static const Str sent[] = {STR("\x08\x07\x78\x09"), STR("\x78\x0a\x70\x01"), STR("")};
    RemoteWriteDecoder d = {0};
    for (int round = 0; round < 3; round++) { // arrays are kept from message to message
        const Decoded got = decode(&d, BYTES("\x0a\x30" LABEL_AB "\x22\x04\x08\x07\x78\x09" SAMPLE
                                             "\x22\x04\x78\x0a\x70\x01" SAMPLE "\x22\x00"
                                             "\x0a\x0d" SAMPLE));
        static const int64_t times[] = {9, 5, 10, 5, 0, 5};
        CHECK_EQ(got.status, OK);
        CHECK_EQ(got.series_count, 2);
        CHECK_EQ(got.series[0].sample_count, 5);
        CHECK_EQ(d.sample_count, 6);
        CHECK_EQ(d.histogram_count, 3);
        for (size_t i = 0; i < ARRAY_LEN(times); i++) {
            CHECK_EQ(d.timestamps_ms[i], times[i]);
            CHECK_EQ(d.histograms[i].ptr != NULL, i % 2 == 0 && i < 5);
            CHECK(d.values[i] == (d.histograms[i].ptr != NULL ? 0.0 : 1.0));
        }
        for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
            CHECK_STR(str_of(d.histograms[2 * i]), sent[i]);
        }
        const Decoded floats = decode(&d, BYTES("\x0a\x15" LABEL_AB SAMPLE "\x0a\x0d" SAMPLE));
        CHECK_EQ(floats.status, OK);
        CHECK_EQ(d.histogram_count, 0);
        CHECK(d.histograms[0].ptr == NULL && d.histograms[1].ptr == NULL);
    }
    remote_write_deinit(&d);
}

TEST(remote_write, many_samples_with_few_histograms)
{
    Buf message;
    RemoteWriteDecoder d = {0};
    enum { COUNT = 20000 };
    int64_t *ms = mem_new(int64_t, COUNT);
    double *values = mem_new(double, COUNT);
    Bytes *histograms = mem_new(Bytes, COUNT);
    buf_init(&message, 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        ms[i] = i;
        values[i] = (double)i;
        if (test_random(t) % 5000 == 0 || i == COUNT / 2) {
            ms[i] = 9;
            values[i] = 0;
            histograms[i] = BYTES("\x08\x07\x78\x09");
        }
    }
    remote_write_put_histograms(&message, BYTES(LABEL_AB), ms, values, histograms, COUNT);
    const Decoded got = decode(&d, buf_bytes(&message));
    CHECK_EQ(got.status, OK);
    CHECK_EQ(d.sample_count, COUNT);
    CHECK(memcmp(d.timestamps_ms, ms, COUNT * sizeof(*ms)) == 0);
    CHECK(memcmp(d.values, values, COUNT * sizeof(*values)) == 0);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_STR(str_of(d.histograms[i]), str_of(histograms[i]));
        CHECK_EQ(d.histograms[i].ptr == NULL, histograms[i].ptr == NULL);
    }
    mem_free(ms);
    mem_free(values);
    mem_free(histograms);
    buf_deinit(&message);
    remote_write_deinit(&d);
}

TEST(remote_write, metadata_is_listed)
{
    RemoteWriteDecoder d = {0};
    (void)decode(&d, BYTES("\x1a\x10\x08\x01\x12\x03up_\x22\x02ok\x2a\x03sec"
                           "\x1a\x05\x08\x63\x12\x01x"));
    CHECK_EQ(d.metadata_count, 2);
    CHECK_EQ(d.metadata[0].type, REMOTE_WRITE_COUNTER);
    CHECK_STR(d.metadata[0].family, STR("up_"));
    CHECK_STR(d.metadata[0].help, STR("ok"));
    CHECK_STR(d.metadata[0].unit, STR("sec"));
    CHECK_EQ(d.metadata[1].type, REMOTE_WRITE_UNKNOWN); // type 99 is not known
    remote_write_deinit(&d);
}

TEST(remote_write, malformed)
{
    static const struct {
        const char *why;
        Bytes message;
        const char *part; // of the message: where, and what was expected
    } cases[] = {
        {"series longer than the message", BYTES("\x0a\x09" LABEL_AB), "byte 1: expected a length"},
        {"label longer than the series", BYTES("\x0a\x03\x0a\x06\x0a"),
         "byte 3: expected a length"},
        {"cut within a tag", BYTES("\x8a"), "byte 0: expected a field's tag"},
        {"cut within a length", BYTES("\x0a\x80"), "byte 1: expected a length"},
        {"field number zero", BYTES("\x02\x00"), "byte 0: expected a field's tag"},
        {"a group", BYTES("\x2b\x2c"), "wire type 0, 1, 2 or 5"},
        {"wire type 6", BYTES("\x2e"), "wire type 0, 1, 2 or 5"},
        {"series as a varint", BYTES("\x08\x01"), "another wire type"},
        {"label as a varint", BYTES("\x0a\x02\x08\x01"), "another wire type"},
        {"value as a varint", BYTES("\x0a\x04\x12\x02\x08\x01"), "another wire type"},
        {"value cut short", BYTES("\x0a\x07\x12\x05\x09\1\2\3\4"), "expected 8 bytes"},
        {"a varint of eleven bytes",
         BYTES("\x0a\x0e\x12\x0c\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "varint"},
        {"a varint above 64 bits",
         BYTES("\x0a\x0d\x12\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "varint"},
        {"a length above 64 bits", BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "length"},
        {"a huge length", BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "length"},
        {"an unknown fixed32 cut short", BYTES("\x2d\1\2\3"), "expected 4 bytes"},
        {"metadata that is not UTF-8", BYTES("\x1a\x03\x12\x01\xff"), "valid UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        RemoteWriteDecoder d = {0};
        const Decoded got = decode(&d, cases[i].message);
        if (got.status != ERR_INVALID || !contains(got.err.msg, cases[i].part)) {
            test_fail(t, __FILE__, __LINE__, "%s: status %d, '%s'", cases[i].why, got.status,
                      got.status == OK ? "" : got.err.msg);
        }
        remote_write_deinit(&d);
    }
}

// Every prefix of a valid message is either valid itself or refused, and reads nothing past its end
// (each prefix is a block of its own, so that ASan would tell).
TEST(remote_write, every_prefix)
{
    static const Bytes message = BYTES("\x0a\x1d" LABEL_AB LABEL_CD SAMPLE "\x1a\x04\x12\x02up"
                                       "\x0a\x15" SAMPLE LABEL_AB);
    RemoteWriteDecoder d = {0};
    for (size_t len = 0; len < message.len; len++) {
        uint8_t *copy = mem_alloc_raw(len);
        memcpy(copy, message.ptr, len);
        const Decoded got = decode(&d, (Bytes){copy, len});
        const bool whole_fields = len == 0 || len == 31 || len == 37;
        CHECK_EQ(got.status, whole_fields ? OK : ERR_INVALID);
        mem_free(copy);
    }
    remote_write_deinit(&d);
}

TEST(remote_write, values_keep_their_bits)
{
    static const uint64_t bits[] = {0,
                                    UINT64_C(0x8000000000000000),
                                    UINT64_C(0x7ff0000000000002), // Prometheus' staleness marker
                                    UINT64_C(0x7ff8000000000001),
                                    UINT64_C(0xfff0000000000000),
                                    1,
                                    UINT64_C(0x7fefffffffffffff)};
    static const int64_t times[] = {0, -1, INT64_MIN, INT64_MAX, 1767225600000, 1, 127};
    double values[ARRAY_LEN(bits)];
    Buf message;
    RemoteWriteDecoder d = {0};
    buf_init(&message, 0);
    memcpy(values, bits, sizeof(bits));
    remote_write_put_series(&message, BYTES(LABEL_AB), times, values, ARRAY_LEN(bits));
    const Decoded got = decode(&d, buf_bytes(&message));
    CHECK_EQ(got.status, OK);
    CHECK_EQ(d.sample_count, ARRAY_LEN(bits));
    CHECK(memcmp(d.values, bits, sizeof(bits)) == 0); // NOLINT: the bits are the point
    CHECK(memcmp(d.timestamps_ms, times, sizeof(times)) == 0);
    buf_deinit(&message);
    remote_write_deinit(&d);
}

TEST(remote_write, limits)
{
    RemoteWriteDecoder d = {0};
    Buf message, labels;
    const int64_t time = 1;
    const double value = 1;
    buf_init(&message, 0);
    buf_init(&labels, 0);
    char *text = mem_alloc(1, REMOTE_WRITE_LABELS_BYTES_MAX);
    // Tag, length of three bytes, tag, "a", tag, length of three bytes, value.
    const size_t overhead = 1 + 3 + 3 + 1 + 3;
    const size_t fits = REMOTE_WRITE_LABELS_BYTES_MAX - overhead;
    for (size_t extra = 0; extra < 2; extra++) {
        buf_clear(&message);
        buf_clear(&labels);
        remote_write_put_label(&labels, STR("a"), (Str){text, fits + extra});
        CHECK_EQ(labels.len, REMOTE_WRITE_LABELS_BYTES_MAX + extra);
        remote_write_put_series(&message, buf_bytes(&labels), &time, &value, 1);
        CHECK_EQ(decode(&d, buf_bytes(&message)).status, extra == 0 ? OK : ERR_TOO_LARGE);
    }
    mem_free(text);
    buf_deinit(&message);
    buf_deinit(&labels);
    remote_write_deinit(&d);
}

TEST(remote_write, limit_of_samples_and_series)
{
    RemoteWriteDecoder d = {0};
    RemoteWriteSeries series;
    Err err;
    bool more = true;
    Buf message;
    buf_init(&message, 0);
    for (uint32_t i = 0; i <= REMOTE_WRITE_SERIES_MAX; i++) {
        buf_put(&message, "\x0a\x00", 2);
    }
    for (size_t extra = 0; extra < 2; extra++) {
        Status st = OK;
        remote_write_init(&d, (Bytes){message.ptr, message.len - 2 + 2 * extra});
        for (more = true; more && st == OK;) {
            st = remote_write_next(&d, &series, &more, &err);
        }
        CHECK_EQ(st, extra == 0 ? OK : ERR_TOO_LARGE);
        CHECK_EQ(d.series_count, REMOTE_WRITE_SERIES_MAX);
    }
    // One series of too many empty samples.
    buf_clear(&message);
    buf_put_u8(&message, 0x0a);
    varint_put_u64(&message, 2 * ((size_t)REMOTE_WRITE_SAMPLES_MAX + 1));
    for (uint32_t i = 0; i <= REMOTE_WRITE_SAMPLES_MAX; i++) {
        buf_put(&message, "\x12\x00", 2);
    }
    remote_write_init(&d, buf_bytes(&message));
    CHECK_EQ(remote_write_next(&d, &series, &more, &err), ERR_TOO_LARGE);
    CHECK_EQ(d.sample_count, REMOTE_WRITE_SAMPLES_MAX);
    buf_deinit(&message);
    remote_write_deinit(&d);
}

TEST(remote_write, labels_are_walked)
{
    Bytes labels = BYTES(LABEL_AB "\x0a\x05\x12\x03xyz" LABEL_CD);
    static const struct {
        Str name, value;
    } want[] = {{STR("a"), STR("b")}, {STR(""), STR("xyz")}, {STR("c"), STR("d")}};
    Str name, value;
    bool more = false;
    Err err;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK_OK(remote_write_label_next(&labels, &name, &value, &more, &err));
        CHECK(more);
        CHECK_STR(name, want[i].name);
        CHECK_STR(value, want[i].value);
    }
    CHECK_OK(remote_write_label_next(&labels, &name, &value, &more, &err));
    CHECK(!more);
    labels = BYTES("\x0a\x03\x0a\x07x");
    CHECK_EQ(remote_write_label_next(&labels, &name, &value, &more, &err), ERR_INVALID);
    labels = BYTES("\x12\x00");
    CHECK_EQ(remote_write_label_next(&labels, &name, &value, &more, &err), ERR_INVALID);
}

// ---- Whole requests

static void compress(Test *t, Bytes message, Buf *body)
{
    Compress *c = compress_new();
    Err err;
    buf_clear(body);
    CHECK_OK(compress_encode(c, COMPRESS_SNAPPY, 0, message, body, &err));
    compress_free(c);
}

// What is written is read back, for random series, by one scratch that is used again and again.
TEST(remote_write, round_trip)
{
    enum { SERIES_MAX = 50, SAMPLES_MAX = 8 };
    RemoteWriteScratch *scratch = remote_write_scratch_new();
    RemoteWriteRequest got;
    Err err;
    Buf message, body, labels;
    buf_init(&message, 0);
    buf_init(&body, 0);
    for (int round = 0; round < 200; round++) {
        int64_t times[SERIES_MAX * SAMPLES_MAX];
        double values[SERIES_MAX * SAMPLES_MAX];
        size_t counts[SERIES_MAX];
        Buf all_labels[SERIES_MAX];
        const size_t series = test_random(t) % SERIES_MAX;
        size_t samples = 0;
        buf_clear(&message);
        for (size_t i = 0; i < series; i++) {
            buf_init(&labels, 0);
            for (uint64_t k = test_random(t) % 12; k > 0; k--) {
                const uint64_t bits[2] = {test_random(t), test_random(t)};
                remote_write_put_label(&labels, (Str){(const char *)&bits[0], bits[1] % 9},
                                       (Str){(const char *)bits, bits[0] % 17});
            }
            all_labels[i] = labels;
            counts[i] = test_random(t) % SAMPLES_MAX;
            for (size_t k = 0; k < counts[i]; k++) {
                const uint64_t bits = test_random(t);
                memcpy(&values[samples + k], &bits, sizeof(bits));
                times[samples + k] = (int64_t)(test_random(t) >> (test_random(t) % 64));
            }
            remote_write_put_series(&message, buf_bytes(&labels), times + samples, values + samples,
                                    counts[i]);
            samples += counts[i];
        }
        compress(t, buf_bytes(&message), &body);
        CHECK_OK(remote_write_decode(buf_bytes(&body), scratch, &got, &err));
        CHECK_EQ(got.series_count, series);
        CHECK_EQ(got.sample_count, samples);
        CHECK(samples == 0 || memcmp(got.values, values, samples * sizeof(double)) == 0);
        CHECK(samples == 0 || memcmp(got.timestamps_ms, times, samples * sizeof(int64_t)) == 0);
        uint32_t first = 0;
        for (size_t i = 0; i < series; i++) {
            CHECK_STR(str_of(got.series[i].labels), buf_str(&all_labels[i]));
            CHECK_EQ(got.series[i].sample_first, first);
            CHECK_EQ(got.series[i].sample_count, counts[i]);
            first += got.series[i].sample_count;
            buf_deinit(&all_labels[i]);
        }
    }
    buf_deinit(&message);
    buf_deinit(&body);
    remote_write_scratch_free(scratch);
}

TEST(remote_write, bad_bodies)
{
    static const struct {
        const char *why;
        Bytes body;
        Status status;
    } cases[] = {
        {"nothing", BYTES(""), ERR_INVALID},
        {"not snappy", BYTES("hello"), ERR_INVALID},
        {"cut short", BYTES("\x10\x3c"), ERR_INVALID},
        {"claims 4 GiB", BYTES("\xff\xff\xff\xff\x0f\x00"), ERR_TOO_LARGE},
        {"claims 32 MiB + 1", BYTES("\x81\x80\x80\x10\x00"), ERR_TOO_LARGE},
        {"claims 32 MiB and has nothing", BYTES("\x80\x80\x80\x10\x00"), ERR_INVALID},
        {"not a message", BYTES("\x02\x04\x0a\x05"), ERR_INVALID},
    };
    RemoteWriteScratch *scratch = remote_write_scratch_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        RemoteWriteRequest got = {.series_count = 7};
        Err err;
        const Status st = remote_write_decode(cases[i].body, scratch, &got, &err);
        if (st != cases[i].status || err.status != st) {
            test_fail(t, __FILE__, __LINE__, "%s: %d", cases[i].why, st);
        }
        CHECK_EQ(got.series_count, 0);
    }
    remote_write_scratch_free(scratch);
}

TEST(remote_write, exemplars)
{
    // Value and timestamp stand before, between and behind labels.
    static const uint8_t message[] =
        "\x0a\x2a" LABEL_AB "\x1a\x13\x11\0\0\0\0\0\0\xf0\x3f" LABEL_AB "\x18\x05"
        "\x1a\x0b\x18\x06\x0a\x05\x0a\x01t\x12\x00\x18\x07";
    RemoteWriteDecoder d = {0};
    RemoteWriteSeries series;
    Err err;
    bool more = true;
    remote_write_init(&d, (Bytes){message, sizeof(message) - 1});
    CHECK_OK(remote_write_next(&d, &series, &more, &err));
    CHECK(more);
    CHECK_EQ(d.exemplar_count, 2);
    CHECK_EQ(d.exemplars[0].series, 0);
    CHECK(d.exemplars[0].value == 1);
    CHECK_EQ(d.exemplars[0].timestamp_ms, 5);
    CHECK_STR(str_of(d.exemplars[0].labels), STR(LABEL_AB));
    CHECK_EQ(d.exemplars[1].timestamp_ms, 7); // the last one counts
    CHECK_EQ(d.exemplars[1].labels.len, 7);
    remote_write_deinit(&d);
}
