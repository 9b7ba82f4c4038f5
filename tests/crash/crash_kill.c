// SPDX-License-Identifier: Apache-2.0
//
// kill -9 at random moments of a process that writes to a store on real files, flushes in the
// background and recovers. What it acknowledged before it died must be there afterwards, once and
// with the last value.
//
//   crash_kill [cycles=200] [seconds=0] [seed=1] [dir=<new folder under $TMPDIR>]
//
// With seconds > 0 it goes on until they are over, however many cycles that takes (a marathon). The
// seed is printed; the moments of death depend on the machine, so it does not repeat a run exactly.
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "os/os.h"
#include "store/scan.h"
#include "store/store.h"
#include "tests/model/sample_kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SERIES = 40,
    STEPS = 500, // timestamps per series
    KEYS = SERIES * STEPS,
    BATCH_MAX = 200,
    DOUBTS_MAX = 64, // values of one key in writes that were not answered
    LIFE_US_MAX = 120000,
};

#define START_MS (INT64_C(20000) * 86400000 + 86000000) // the steps reach into the next day

// What the writer says: before a write what it will write, and after it that it was acknowledged.
typedef struct Note {
    uint32_t key; // NOTE_ACK: everything so far is acknowledged
    uint32_t value;
} Note;

#define NOTE_ACK UINT32_MAX

typedef struct Plan {
    uint64_t cycles;
    double seconds;
    uint64_t seed;
    Str dir;
} Plan;

static void die(const char *what, const Err *err)
{
    (void)fprintf(stderr, "crash_kill: %s%s%s\n", what, err != NULL ? ": " : "",
                  err != NULL ? err->msg : "");
    exit(2);
}

static StoreOptions store_options(const Plan *plan)
{
    return (StoreOptions){.os = os_posix(),
                          .dir = plan->dir,
                          .flush_interval_ms = 40,
                          .wal_segment_bytes = 64 << 10,
                          .memory_limit_bytes = 1 << 30};
}

// --- the writer, which is killed -----------------------------------------------------------------

static void put_label(Buf *out, Str name, Str value)
{
    const Label label = {.name = name, .value = value};
    labels_encode(&(LabelSet){.labels = &label, .count = 1}, out);
}

static void send_notes(int pipe_fd, const Note *notes, size_t count)
{
    const char *at = (const char *)notes;
    for (size_t left = count * sizeof(*notes); left > 0;) {
        const ssize_t n = write(pipe_fd, at, left);
        if (n <= 0) {
            die("pipe", NULL);
        }
        at += n;
        left -= (size_t)n;
    }
}

typedef struct Writer {
    Store *store;
    int pipe_fd;
    Rng rng;
    uint32_t next_value;
} Writer;

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static void write_batch(Writer *w)
{
    Err err;
    Buf wires[BATCH_MAX];
    MetricsSeries series[BATCH_MAX];
    int64_t timestamps[BATCH_MAX];
    double values[BATCH_MAX];
    MetricsExtra extras[BATCH_MAX];
    Arena blobs;
    Note notes[BATCH_MAX];
    MetricsResult result;
    const size_t count = 1 + rng_below(&w->rng, BATCH_MAX);
    arena_init(&blobs, 0);
    for (size_t i = 0; i < count; i++) {
        char pod[16];
        const uint32_t key = (uint32_t)rng_below(&w->rng, KEYS);
        const int n = snprintf(pod, sizeof(pod), "pod-%u", key % SERIES);
        buf_init(&wires[i], 0);
        put_label(&wires[i], STR("__name__"), STR("up"));
        put_label(&wires[i], STR("pod"), (Str){pod, (size_t)n});
        notes[i] = (Note){.key = key, .value = w->next_value++};
        timestamps[i] = START_MS + (int64_t)(key / SERIES) * 1000;
        values[i] = notes[i].value;
        extras[i] = sample_extra(timestamps[i], bits_of(values[i]), &blobs);
        series[i] = (MetricsSeries){
            .labels = buf_bytes(&wires[i]), .sample_first = (uint32_t)i, .sample_count = 1};
    }
    send_notes(w->pipe_fd, notes, count);
    const MetricsBatch batch = {.series = series,
                                .series_count = count,
                                .timestamps_ms = timestamps,
                                .values = values,
                                .extras = extras};
    if (store_write_metrics(w->store, &batch, &result, &err) != OK) {
        die("write", &err);
    }
    send_notes(w->pipe_fd, &(Note){.key = NOTE_ACK}, 1);
    arena_deinit(&blobs);
    for (size_t i = 0; i < count; i++) {
        buf_deinit(&wires[i]);
    }
}

NORETURN static void run_writer(const Plan *plan, int pipe_fd, uint64_t seed, uint32_t next_value)
{
    Err err;
    Writer w = {.pipe_fd = pipe_fd, .rng = {.state = seed}, .next_value = next_value};
    const StoreOptions options = store_options(plan);
    if (store_open(&options, &w.store, NULL, &err) != OK) {
        die("open", &err);
    }
    for (;;) {
        write_batch(&w);
        if (rng_below(&w.rng, 8) == 0 && store_flush(w.store, (Str){0}, &err) != OK) {
            die("flush", &err);
        }
    }
}

// --- what is known of it -------------------------------------------------------------------------

typedef struct KeyState {
    uint32_t acked;              // 0: nothing
    uint32_t doubts[DOUBTS_MAX]; // newest values that were not acknowledged
    uint32_t doubt_count;
} KeyState;

typedef struct Oracle {
    KeyState *keys;
    Note open[BATCH_MAX]; // of the batch that is being written
    size_t open_count;
    uint64_t acked_count;
    uint32_t value_max;
} Oracle;

static void take_note(Oracle *o, Note note)
{
    if (note.key != NOTE_ACK) {
        o->open[o->open_count++] = note;
        o->value_max = note.value;
        return;
    }
    for (size_t i = 0; i < o->open_count; i++) {
        KeyState *key = &o->keys[o->open[i].key];
        key->acked = o->open[i].value;
        key->doubt_count = 0;
    }
    o->acked_count += o->open_count;
    o->open_count = 0;
}

// The process died: what it was writing may have happened.
static void doubt_open(Oracle *o)
{
    for (size_t i = 0; i < o->open_count; i++) {
        KeyState *key = &o->keys[o->open[i].key];
        if (key->doubt_count < DOUBTS_MAX) {
            key->doubts[key->doubt_count++] = o->open[i].value;
        }
    }
    o->open_count = 0;
}

static void read_notes(Oracle *o, int pipe_fd)
{
    Note notes[512];
    size_t have = 0; // bytes
    for (;;) {
        const ssize_t n = read(pipe_fd, (char *)notes + have, sizeof(notes) - have);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        have += (size_t)n;
        const size_t whole = have / sizeof(*notes);
        for (size_t i = 0; i < whole; i++) {
            take_note(o, notes[i]);
        }
        have -= whole * sizeof(*notes);
        memmove(notes, &notes[whole], have);
    }
    doubt_open(o);
}

// --- checking ------------------------------------------------------------------------------------

static bool check_row(Oracle *o, uint32_t *seen, uint32_t key, uint32_t value)
{
    KeyState *state = &o->keys[key];
    bool known = state->acked == value && value != 0;
    for (uint32_t i = 0; i < state->doubt_count; i++) {
        known = known || state->doubts[i] == value;
    }
    if (!known || seen[key] != 0) {
        (void)fprintf(stderr, "key %u has value %u, acknowledged was %u%s\n", key, value,
                      state->acked, seen[key] != 0 ? ", and it is there twice" : "");
        return false;
    }
    seen[key] = value;
    return true;
}

// Where a row's value of a column is; NULL when it has none.
static const void *cell(const Batch *batch, Str column, uint32_t row)
{
    const size_t i = schema_find(batch->schema, column);
    const Vector *flat;
    uint32_t at;
    const bool has = i != SIZE_MAX && vector_locate(&batch->columns[i], row, &flat, &at);
    return has ? (const uint64_t *)flat->data + at : NULL;
}

static Bytes text_cell(const Batch *batch, Str column, uint32_t row)
{
    const size_t i = schema_find(batch->schema, column);
    const Vector *flat;
    uint32_t at;
    if (i == SIZE_MAX || !vector_locate(&batch->columns[i], row, &flat, &at)) {
        return (Bytes){0};
    }
    const Str s = vector_flat_str(flat, at);
    return (Bytes){(const uint8_t *)s.ptr, s.len};
}

// The value that the row stands for, whether it is a float or a histogram.
static uint32_t row_value(const Batch *batch, uint32_t row, int64_t ms)
{
    const uint64_t *value = cell(batch, STR("value"), row);
    const int64_t *start_us = cell(batch, STR("start_timestamp"), row);
    const SampleRow sample = {.timestamp_ms = ms,
                              .has_value = value != NULL,
                              .value = value == NULL ? 0 : *value,
                              .has_start = start_us != NULL,
                              .start_ms = start_us == NULL ? 0 : *start_us / 1000,
                              .histogram = text_cell(batch, STR("histogram"), row)};
    SampleKinds kinds = {.any_extended = true};
    Arena arena;
    arena_init(&arena, 0);
    const uint64_t bits = sample_of_row(&sample, &kinds, &arena);
    arena_deinit(&arena);
    double out;
    memcpy(&out, &bits, sizeof(out));
    return (uint32_t)out;
}

static bool check_batch(Oracle *o, uint32_t *seen, const Batch *batch)
{
    bool ok = true;
    for (uint32_t row = 0; row < batch->row_count; row++) {
        const int64_t *us = cell(batch, STR("timestamp"), row);
        const Bytes pod = text_cell(batch, STR("pod"), row);
        uint64_t series;
        if (us == NULL ||
            !num_parse_u64(str_slice((Str){(const char *)pod.ptr, pod.len}, 4, pod.len), &series) ||
            series >= SERIES) {
            return false;
        }
        const int64_t ms = *us / 1000;
        const uint32_t key = (uint32_t)((ms - START_MS) / 1000) * SERIES + (uint32_t)series;
        ok = key < KEYS && check_row(o, seen, key, row_value(batch, row, ms)) && ok;
    }
    return ok;
}

// Reads everything and takes it for the truth. False when something is lost, twice, or was never
// there.
static bool check_rows(Oracle *o, Store *store, Err *err)
{
    Snapshot *snapshot = NULL;
    Scan *scan = NULL;
    ScanWorker *worker = NULL;
    uint32_t *seen = mem_new(uint32_t, KEYS);
    bool ok = true;
    if (snapshot_open(store, STR("metrics"), &snapshot, err) != OK) {
        die("snapshot", err);
    }
    const size_t column_count = snapshot_schema(snapshot)->count;
    size_t *columns = mem_new(size_t, column_count);
    for (size_t i = 0; i < column_count; i++) {
        columns[i] = i;
    }
    const ScanOptions options = {.columns = columns, .column_count = column_count};
    if (scan_open(snapshot, &options, &scan, err) != OK ||
        scan_worker_open(scan, &worker, err) != OK) {
        die("scan", err);
    }
    for (;;) {
        Batch batch;
        if (scan_worker_next(worker, &batch, err) != OK) {
            die("scan", err);
        }
        if (batch.row_count == 0) {
            break;
        }
        ok = check_batch(o, seen, &batch) && ok;
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        if (o->keys[key].acked != 0 && seen[key] == 0) {
            (void)fprintf(stderr, "key %u is lost, acknowledged was %u\n", key, o->keys[key].acked);
            ok = false;
        }
        o->keys[key] = (KeyState){.acked = seen[key]};
    }
    scan_worker_close(worker);
    scan_close(scan);
    snapshot_close(snapshot);
    mem_free(columns);
    mem_free(seen);
    return ok;
}

static bool check_store(const Plan *plan, Oracle *o)
{
    Err err;
    Store *store;
    StoreOptions options = store_options(plan);
    options.manual = true;
    if (store_open(&options, &store, NULL, &err) != OK) {
        die("open after kill", &err);
    }
    const bool ok = check_rows(o, store, &err);
    if (store_close(store, false, &err) != OK) {
        die("close", &err);
    }
    return ok;
}

// --- the rounds ----------------------------------------------------------------------------------

static void live_and_die(const Plan *plan, Oracle *o, Rng *rng)
{
    int fds[2];
    if (pipe(fds) != 0) {
        die("pipe", NULL);
    }
    const uint64_t seed = rng_next(rng);
    const pid_t child = fork();
    if (child < 0) {
        die("fork", NULL);
    }
    if (child == 0) {
        (void)close(fds[0]);
        run_writer(plan, fds[1], seed, o->value_max + 1);
    }
    (void)close(fds[1]);
    // The pipe is small, so the notes are read while it lives; a second process does the killing.
    const int64_t life_us = (int64_t)rng_below(rng, LIFE_US_MAX);
    const pid_t killer = fork();
    if (killer == 0) {
        const struct timespec life = {.tv_sec = 0, .tv_nsec = life_us * 1000};
        (void)nanosleep(&life, NULL);
        (void)kill(child, SIGKILL);
        _exit(0);
    }
    read_notes(o, fds[0]);
    (void)close(fds[0]);
    int status = 0;
    (void)waitpid(killer, NULL, 0);
    (void)waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        die("the writer ended by itself", NULL);
    }
}

static Plan parse_plan(int argc, char **argv)
{
    Plan plan = {.cycles = 200, .seed = 1};
    for (int i = 1; i < argc; i++) {
        const Str arg = {argv[i], strlen(argv[i])};
        Str key;
        Str value;
        if (!str_cut(arg, '=', &key, &value)) {
            die("arguments are cycles=, seconds=, seed= and dir=", NULL);
        }
        if (str_eq(key, STR("cycles"))) {
            plan.cycles = strtoull(value.ptr, NULL, 10);
        } else if (str_eq(key, STR("seconds"))) {
            plan.seconds = strtod(value.ptr, NULL);
        } else if (str_eq(key, STR("seed"))) {
            plan.seed = strtoull(value.ptr, NULL, 10);
        } else if (str_eq(key, STR("dir"))) {
            plan.dir = value;
        } else {
            die("arguments are cycles=, seconds=, seed= and dir=", NULL);
        }
    }
    return plan;
}

static void remove_tree(const char *dir)
{
    const pid_t child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    Plan plan = parse_plan(argc, argv);
    char dir[4096];
    const bool own_dir = plan.dir.len == 0;
    if (own_dir) {
        const char *tmp = getenv("TMPDIR");
        (void)snprintf(dir, sizeof(dir), "%s/crash_kill.XXXXXX", tmp != NULL ? tmp : "/tmp");
        if (mkdtemp(dir) == NULL) {
            die("mkdtemp", NULL);
        }
        plan.dir = (Str){dir, strlen(dir)};
    }
    (void)printf("1..1\n# seed %" PRIu64 ", folder %.*s\n", plan.seed, (int)plan.dir.len,
                 plan.dir.ptr);
    (void)fflush(stdout);
    Oracle oracle = {.keys = mem_new(KeyState, KEYS)};
    Rng rng = {.state = plan.seed};
    const int64_t end_ns = os_mono_ns(os_posix()) + (int64_t)(plan.seconds * 1e9);
    bool ok = true;
    uint64_t cycle = 0;
    while (ok && (plan.seconds > 0 ? os_mono_ns(os_posix()) < end_ns : cycle < plan.cycles)) {
        live_and_die(&plan, &oracle, &rng);
        ok = check_store(&plan, &oracle);
        cycle++;
    }
    (void)printf("# %" PRIu64 " cycles, %" PRIu64 " samples acknowledged\n", cycle,
                 oracle.acked_count);
    (void)printf("%sok 1 - crash_kill.acknowledged_samples_survive_kills\n", ok ? "" : "not ");
    mem_free(oracle.keys);
    if (own_dir && ok) { // kept when something is wrong
        remove_tree(dir);
    }
    return ok ? 0 : 1;
}
