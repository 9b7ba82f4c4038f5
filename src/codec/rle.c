// SPDX-License-Identifier: Apache-2.0
#include "codec/rle.h"

#include "codec/bitpack.h"
#include "codec/codec_internal.h"
#include "codec/minmax.h"
#include "codec/varint.h"

// ---- encoding
//
// Bit-packed spans hold whole groups of eight values, so the choice is made whenever at least eight
// values are pending: either the next eight become a group, and what remains of the last run is
// looked at again, or all pending runs are written as runs. Costs are in bits.

enum { HEADER_BITS = 8, RUN_COUNT_MAX = INT32_MAX };

static inline unsigned value_bytes(unsigned width)
{
    return (width + 7) / 8;
}

static inline uint64_t run_bits(const RleEncoder *e, uint64_t count)
{
    return count == 0 ? 0 : 8 * (varint_size_bytes(count << 1) + value_bytes(e->width));
}

void rle_encoder_init(RleEncoder *e, Buf *out, unsigned width)
{
    ASSERT(width <= RLE_WIDTH_MAX);
    // Not `*e = {0}`: the literals are large and are written before they are read.
    e->out = out;
    e->width = width;
    e->pending_count = 0;
    e->pending_values = 0;
    e->literal_count = 0;
}

static void write_literals(RleEncoder *e)
{
    if (e->literal_count == 0) {
        return;
    }
    const uint32_t groups = (e->literal_count + 7) / 8;
    memset(e->literals + e->literal_count, 0,
           (groups * 8 - e->literal_count) * sizeof(e->literals[0]));
    const size_t size = (size_t)groups * e->width;
    uint8_t *p = buf_reserve(e->out, size + 1);
    if (p != NULL) {
        p[0] = (uint8_t)(groups << 1 | 1); // at most 127: RLE_LITERALS_MAX
        bitpack_pack_u32(e->literals, (size_t)groups * 8, e->width, p + 1);
        buf_commit(e->out, size + 1);
    }
    e->literal_count = 0;
}

static void write_run(RleEncoder *e, uint32_t value, uint64_t count)
{
    write_literals(e);
    while (count > 0) {
        const uint64_t n = count < RUN_COUNT_MAX ? count : RUN_COUNT_MAX;
        uint8_t bytes[VARINT_U64_BYTES_MAX + 4];
        uint8_t *p = varint_write_u64(bytes, n << 1);
        memcpy(p, &value, 4);
        buf_put(e->out, bytes, (size_t)(p - bytes) + value_bytes(e->width));
        count -= n;
    }
}

static void write_pending_runs(RleEncoder *e)
{
    for (uint32_t i = 0; i < e->pending_count; i++) {
        write_run(e, e->pending[i].value, e->pending[i].count);
    }
    e->pending_count = 0;
    e->pending_values = 0;
}

// The first `take` pending values, which are all runs but the last and the beginning of that one,
// become literals.
static void pending_to_literals(RleEncoder *e, uint32_t take)
{
    uint32_t *out = e->literals + e->literal_count;
    uint32_t done = 0;
    for (uint32_t i = 0; i < e->pending_count; i++) {
        const RlePending *run = &e->pending[i];
        for (uint64_t k = 0; k < run->count && done < take; k++) {
            out[done++] = run->value;
        }
    }
    e->literal_count += take;
    e->pending_values -= take;
    e->pending[0] =
        (RlePending){.value = e->pending[e->pending_count - 1].value, .count = e->pending_values};
    e->pending_count = e->pending_values > 0;
    if (e->literal_count == RLE_LITERALS_MAX) {
        write_literals(e);
    }
}

// Brings pending_values below 8.
static void resolve(RleEncoder *e)
{
    while (e->pending_values >= 8) {
        const uint64_t rest = e->pending_values - 8;
        const uint64_t rest_runs = run_bits(e, rest);
        const uint64_t rest_packed = rest * e->width;
        const uint64_t as_group = 8 * (uint64_t)e->width +
                                  (e->literal_count == 0 ? HEADER_BITS : 0) +
                                  (rest_runs < rest_packed ? rest_runs : rest_packed);
        // A run ends the span of literals, and the next one needs a header again.
        uint64_t as_runs = e->literal_count == 0 ? 0 : HEADER_BITS;
        for (uint32_t i = 0; i < e->pending_count; i++) {
            as_runs += run_bits(e, e->pending[i].count);
        }
        if (e->width == 0 || as_runs <= as_group) {
            write_pending_runs(e);
        } else {
            pending_to_literals(e, 8);
        }
    }
}

void rle_put_run(RleEncoder *e, uint32_t value, uint64_t count)
{
    DCHECK(e->width == 32 || value >> e->width == 0);
    if (count == 0) {
        return;
    }
    if (e->pending_count > 0 && e->pending[e->pending_count - 1].value == value) {
        e->pending[e->pending_count - 1].count += count;
        e->pending_values += count;
        return;
    }
    resolve(e);
    e->pending[e->pending_count++] = (RlePending){.value = value, .count = count};
    e->pending_values += count;
}

// Eight values that are known to be best bit-packed; nothing is pending.
static void put_group(RleEncoder *e, const uint32_t *v)
{
    memcpy(e->literals + e->literal_count, v, 8 * sizeof(*v));
    e->literal_count += 8;
    if (e->literal_count == RLE_LITERALS_MAX) {
        write_literals(e);
    }
}

// Where the run that begins at `i` ends.
static size_t run_end(const uint32_t *v, size_t i, size_t count)
{
    const uint64_t twice = (uint64_t)v[i] << 32 | v[i];
    size_t end = i + 1;
    while (count - end >= 4) {
        uint64_t next[2];
        memcpy(next, v + end, sizeof(next));
        if (((next[0] ^ twice) | (next[1] ^ twice)) != 0) {
            break;
        }
        end += 4;
    }
    while (end < count && v[end] == v[i]) {
        end++;
    }
    return end;
}

void rle_put_values(RleEncoder *e, const uint32_t *v, size_t count)
{
    // A group takes `width` bytes and perhaps a header; a run takes at least 1 + value_bytes().
    // With so many changes among eight values the group is never larger, even if their last run
    // goes on.
    const unsigned changes_min =
        (e->width + 1 + value_bytes(e->width)) / (1 + value_bytes(e->width));
    size_t i = 0;
    while (i < count) {
        if (e->pending_count == 0 && count - i >= 8 && e->width != 0) {
            unsigned changes = 0;
            for (size_t k = i; k < i + 7; k++) {
                changes += v[k] != v[k + 1];
            }
            if (changes >= changes_min) {
                put_group(e, v + i);
                i += 8;
                continue;
            }
        }
        const size_t end = run_end(v, i, count);
        rle_put_run(e, v[i], end - i);
        if (end < count && e->pending_values >= 8) {
            resolve(e); // now, as this run does not go on: then groups are found above again
        }
        i = end;
    }
}

// Bits [at, at + 64) of a bitmap that ends at `end`, which is after `at`; zeroes behind the end.
static uint64_t bits_at(const uint64_t *bits, size_t at, size_t end)
{
    const unsigned shift = at & 63;
    const uint64_t low = bits[at >> 6] >> shift;
    if (shift == 0 || (at >> 6) == (end - 1) >> 6) {
        return low;
    }
    return low | bits[(at >> 6) + 1] << (64 - shift);
}

// How many bits from `at` on are equal to the first.
static size_t bit_run(const uint64_t *bits, size_t at, size_t end)
{
    const uint64_t flip = (bits[at >> 6] >> (at & 63) & 1) != 0 ? UINT64_MAX : 0;
    size_t i = at;
    while (i < end) {
        const uint64_t differ = (bits[i >> 6] ^ flip) >> (i & 63);
        if (differ != 0) {
            i += (size_t)__builtin_ctzll(differ);
            break;
        }
        i = (i | 63) + 1;
    }
    return (i < end ? i : end) - at;
}

void rle_put_bits(RleEncoder *e, const uint64_t *bits, size_t from, size_t count)
{
    if (bits == NULL) {
        rle_put_run(e, 1, count);
        return;
    }
    const size_t end = from + count;
    size_t i = from;
    while (i < end) {
        const uint32_t byte = (uint32_t)bits_at(bits, i, end) & 0xff;
        if (e->pending_count == 0 && end - i >= 8 && byte != 0 && byte != 0xff && e->width != 0) {
            uint32_t group[8];
            for (unsigned k = 0; k < 8; k++) {
                group[k] = byte >> k & 1;
            }
            put_group(e, group);
            i += 8;
            continue;
        }
        const size_t n = bit_run(bits, i, end);
        rle_put_run(e, byte & 1, n);
        i += n;
        if (i < end && e->pending_values >= 8) {
            resolve(e);
        }
    }
}

void rle_encoder_finish(RleEncoder *e)
{
    resolve(e);
    if (e->pending_values > 0) { // fewer than eight: a padded group, or runs
        const uint64_t as_group =
            8 * (uint64_t)e->width + (e->literal_count == 0 ? HEADER_BITS : 0);
        uint64_t as_runs = 0;
        for (uint32_t i = 0; i < e->pending_count; i++) {
            as_runs += run_bits(e, e->pending[i].count);
        }
        if (e->width == 0 || as_runs <= as_group) {
            write_pending_runs(e);
        } else {
            pending_to_literals(e, (uint32_t)e->pending_values);
        }
    }
    write_literals(e);
}

// ---- decoding

Status rle_decoder_init(RleDecoder *d, Bytes in, unsigned width, uint32_t value_max, Err *err)
{
    *d = (RleDecoder){.width = width, .value_max = value_max};
    if (width > RLE_WIDTH_MAX) {
        return err_set(err, ERR_CORRUPT, "RLE width of %u bits", width);
    }
    const Reader r = reader_of(in);
    d->pos = r.pos;
    d->end = r.end;
    return OK;
}

static Status above_max(const RleDecoder *d, uint32_t value, Err *err)
{
    return err_set(err, ERR_CORRUPT, "RLE value %" PRIu32 " above %" PRIu32, value, d->value_max);
}

static Status load_packed(RleDecoder *d, uint32_t groups, Err *err)
{
    const size_t bytes = (size_t)(d->end - d->pos);
    uint64_t count = (uint64_t)groups * 8;
    uint64_t size = (uint64_t)groups * d->width;
    if (size > bytes) {
        // Some writers cut the padding of the last group off, which does no harm as long as the
        // values that matter are there.
        size = bytes;
        count = bytes * 8 / d->width;
    }
    if (count > UINT32_MAX || (count == 0 && groups != 0)) {
        return err_set(err, ERR_CORRUPT, "RLE span of %" PRIu32 " groups does not fit", groups);
    }
    d->packed = true;
    d->bits = d->pos;
    d->bits_index = 0;
    d->left = (uint32_t)count;
    d->pos += size;
    return OK;
}

// The value of a run: `size` bytes, which are there. Loading four and masking beats a copy of so
// many, whose result cannot be forwarded to the load that follows.
static inline uint32_t run_value(const uint8_t *p, const uint8_t *end, unsigned size)
{
    uint32_t value = 0;
    if (end - p >= (ptrdiff_t)sizeof(value)) {
        memcpy(&value, p, sizeof(value));
        return value & (uint32_t)codec_mask(size * 8);
    }
    for (unsigned i = 0; i < size; i++) {
        value |= (uint32_t)p[i] << (8 * i);
    }
    return value;
}

// Makes sure that the current run has values left.
static Status load(RleDecoder *d, Err *err)
{
    while (d->left == 0) { // runs of no values are legal, and each takes a byte at least
        uint32_t header = 0;
        const uint8_t *p = varint_read_u32(d->pos, d->end, &header);
        if (p == NULL) {
            return err_set(err, ERR_CORRUPT, "RLE data ends early");
        }
        d->pos = p;
        if ((header & 1) != 0) {
            TRY(load_packed(d, header >> 1, err));
            continue;
        }
        const unsigned size = value_bytes(d->width);
        if ((size_t)(d->end - p) < size) {
            return err_set(err, ERR_CORRUPT, "RLE data ends inside a run");
        }
        const uint32_t value = run_value(p, d->end, size);
        if (value > d->value_max) {
            return above_max(d, value, err);
        }
        d->pos += size;
        d->packed = false;
        d->value = value;
        d->left = header >> 1;
    }
    return OK;
}

static inline RleRun current(const RleDecoder *d, uint64_t count_max)
{
    RleRun run = {.count = d->left < count_max ? d->left : (uint32_t)count_max,
                  .packed = d->packed};
    if (d->packed) {
        run.bits = d->bits + (size_t)(d->bits_index / 8) * d->width;
        run.first = d->bits_index % 8;
        run.end = d->end;
    } else {
        run.value = d->value;
    }
    return run;
}

static inline void advance(RleDecoder *d, uint32_t count)
{
    d->left -= count;
    if (d->packed) {
        d->bits_index += count;
    }
}

Status rle_next(RleDecoder *d, uint32_t count_max, RleRun *run, Err *err)
{
    TRY(load(d, err));
    *run = current(d, count_max);
    advance(d, run->count);
    return OK;
}

void rle_run_unpack(const RleRun *run, unsigned width, uint32_t from, uint32_t count, uint32_t *out)
{
    const uint32_t start = run->first + from;
    const uint8_t *p = run->bits + (size_t)(start / 8) * width;
    const uint32_t skip = start % 8;
    if (skip != 0 && count != 0) {
        uint32_t group[8];
        const uint32_t n = count < 8 - skip ? count : 8 - skip;
        bitpack_unpack_u32_within((Bytes){p, (size_t)(run->end - p)}, skip + n, width, group);
        memcpy(out, group + skip, n * sizeof(*out));
        out += n;
        count -= n;
        p += width;
    }
    if (count != 0) {
        bitpack_unpack_u32_within((Bytes){p, (size_t)(run->end - p)}, count, width, out);
    }
}

// Unpacks the first `count` values of a span and checks them.
static Status unpack_checked(const RleDecoder *d, const RleRun *run, uint32_t count, uint32_t *out,
                             Err *err)
{
    rle_run_unpack(run, d->width, 0, count, out);
    if (d->value_max < codec_mask(d->width)) {
        uint32_t min = 0;
        uint32_t max = 0;
        minmax_u32(out, count, &min, &max);
        if (max > d->value_max) {
            return above_max(d, max, err);
        }
    }
    return OK;
}

// Short runs, as long as the next value begins one: each is written as eight values, of which the
// next run takes back what is too much, so that no branch hangs on its length. Returns how many
// values there were. What is not such a run, or is wrong, is left to load().
static size_t decode_short_runs(RleDecoder *d, uint32_t *out, size_t count)
{
    enum { LONGEST = 8, HEADER_AND_VALUE = 1 + 4 };
    const unsigned size = value_bytes(d->width);
    const uint32_t mask = (uint32_t)codec_mask(size * 8);
    const uint8_t *p = d->pos;
    size_t done = 0;
    while (count - done >= LONGEST && d->end - p >= HEADER_AND_VALUE) {
        const uint32_t header = p[0];
        uint32_t value;
        memcpy(&value, p + 1, sizeof(value));
        value &= mask;
        if ((header & 1) != 0 || header > LONGEST << 1 || value > d->value_max) {
            break;
        }
        for (unsigned i = 0; i < LONGEST; i++) {
            out[done + i] = value;
        }
        done += header >> 1;
        p += 1 + size;
    }
    d->pos = p;
    return done;
}

Status rle_decode(RleDecoder *d, uint32_t *out, size_t count, Err *err)
{
    while (count > 0) {
        if (d->left == 0) {
            const size_t done = decode_short_runs(d, out, count);
            out += done;
            count -= done;
            if (count == 0) {
                break;
            }
        }
        TRY(load(d, err));
        const RleRun run = current(d, count);
        if (run.packed) {
            TRY(unpack_checked(d, &run, run.count, out, err));
        } else {
            for (uint32_t i = 0; i < run.count; i++) {
                out[i] = run.value;
            }
        }
        advance(d, run.count);
        out += run.count;
        count -= run.count;
    }
    return OK;
}

// False when there is no room for another run.
static inline bool append_run(RleRuns *runs, uint32_t value, uint32_t count)
{
    uint32_t end = 0;
    if (runs->count > 0) {
        const uint32_t last = runs->count - 1;
        end = runs->run_ends[last];
        if (runs->values[last] == value) {
            runs->run_ends[last] = end + count;
            return true;
        }
    }
    if (runs->count == runs->cap) {
        return false;
    }
    runs->values[runs->count] = value;
    runs->run_ends[runs->count] = end + count;
    runs->count++;
    return true;
}

// Appends values[0..count) as runs; returns how many found room.
static uint32_t append_values(RleRuns *runs, const uint32_t *values, uint32_t count)
{
    uint32_t i = 0;
    while (i < count) {
        uint32_t end = i + 1;
        while (end < count && values[end] == values[i]) {
            end++;
        }
        if (!append_run(runs, values[i], end - i)) {
            break;
        }
        i = end;
    }
    return i;
}

Status rle_decode_runs(RleDecoder *d, uint32_t count, RleRuns *runs, uint32_t *decoded, Err *err)
{
    enum { CHUNK = 256 };
    *decoded = 0;
    while (*decoded < count) {
        TRY(load(d, err));
        const RleRun run = current(d, count - *decoded);
        uint32_t want = run.count;
        uint32_t taken = 0;
        if (run.packed) {
            uint32_t values[CHUNK];
            want = want < CHUNK ? want : CHUNK;
            TRY(unpack_checked(d, &run, want, values, err));
            taken = append_values(runs, values, want);
        } else if (append_run(runs, run.value, want)) {
            taken = want;
        }
        advance(d, taken);
        *decoded += taken;
        if (taken < want) {
            break; // full
        }
    }
    return OK;
}

Status rle_count_runs(const RleDecoder *d, uint32_t count, uint32_t most, uint32_t *out, Err *err)
{
    enum { SHORT_MAX = 0x7f }; // a header of one byte
    RleDecoder copy = *d;
    const unsigned size = value_bytes(d->width);
    uint32_t runs = 0;
    while (count > 0 && runs <= most) {
        RleRun run;
        if (copy.left == 0 && copy.end - copy.pos > (ptrdiff_t)size && (*copy.pos & 1) == 0 &&
            *copy.pos <= SHORT_MAX && (uint32_t)*copy.pos >> 1 <= count) {
            count -= (uint32_t)*copy.pos >> 1;
            copy.pos += 1 + size;
            runs++;
            continue;
        }
        TRY(rle_next(&copy, count, &run, err));
        runs += run.packed ? run.count : 1;
        count -= run.count;
    }
    *out = runs;
    return OK;
}

// Sets bits [at, at + n) to the low n bits of `v`, 0 < n <= 64; the bits of `v` above are zero.
static inline void store_bits(uint64_t *bits, size_t at, uint64_t v, unsigned n)
{
    const unsigned shift = at & 63;
    uint64_t *word = &bits[at >> 6];
    word[0] = (word[0] & ~(codec_mask(n) << shift)) | v << shift;
    if (shift + n > 64) {
        const unsigned over = shift + n - 64;
        word[1] = (word[1] & ~codec_mask(over)) | v >> (64 - shift);
    }
}

// Copies the bits of the span to `bits`; returns how many are set.
static size_t copy_bits(const RleRun *run, uint64_t *bits, size_t to)
{
    enum { STEP = 57 }; // so many fit in eight bytes with a shift of 7
    size_t ones = 0;
    for (uint32_t i = 0; i < run->count;) {
        const unsigned n = run->count - i < STEP ? run->count - i : STEP;
        const uint8_t *p = run->bits + (run->first + i) / 8;
        const unsigned shift = (run->first + i) % 8;
        uint64_t v = 0;
        if (run->end - p >= 8) {
            v = codec_load_u64(p);
        } else {
            memcpy(&v, p, (shift + n + 7) / 8);
        }
        v = v >> shift & codec_mask(n);
        store_bits(bits, to + i, v, n);
        ones += (size_t)__builtin_popcountll(v);
        i += n;
    }
    return ones;
}

static void fill_bits(uint64_t *bits, size_t to, uint32_t count, bool one)
{
    for (uint32_t i = 0; i < count;) {
        const unsigned room = 64 - ((to + i) & 63);
        const unsigned n = count - i < room ? count - i : room;
        store_bits(bits, to + i, one ? codec_mask(n) : 0, n);
        i += n;
    }
}

Status rle_decode_bits(RleDecoder *d, uint64_t *bits, size_t to, size_t count, size_t *ones,
                       Err *err)
{
    ASSERT(d->width == 1);
    *ones = 0;
    while (count > 0) {
        TRY(load(d, err));
        const RleRun run = current(d, count);
        if (run.packed) {
            const size_t set = copy_bits(&run, bits, to);
            if (set > 0 && d->value_max == 0) {
                return above_max(d, 1, err);
            }
            *ones += set;
        } else {
            if (run.value > 1) {
                return err_set(err, ERR_CORRUPT, "RLE value %" PRIu32 " in one bit", run.value);
            }
            fill_bits(bits, to, run.count, run.value == 1);
            *ones += run.value == 1 ? run.count : 0;
        }
        advance(d, run.count);
        to += run.count;
        count -= run.count;
    }
    return OK;
}

Status rle_skip(RleDecoder *d, uint64_t count, Err *err)
{
    while (count > 0) {
        TRY(load(d, err));
        const uint32_t n = d->left < count ? d->left : (uint32_t)count;
        advance(d, n);
        count -= n;
    }
    return OK;
}
