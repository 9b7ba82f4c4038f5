// SPDX-License-Identifier: Apache-2.0
//
// Histograms and start timestamps in a whole store: what becomes of the table's schema, in new
// folders, in old ones, and when others write to it too.
#include "os/sim.h"
#include "store/delta.h"
#include "store/store.h"

#include "tests/model/store_model.h"

#define NOW_MS (INT64_C(20000) * 86400000 + 1000)

typedef struct World {
    OsSim *sim;
    Store *store;
    Model *model;
    SampleBatch *floats, *all; // samples of `all` are of all kinds
    int64_t now_ms;
} World;

static void open_store(Test *t, World *w)
{
    Err err;
    const StoreOptions options = {.os = os_sim_os(w->sim), .dir = STR("data"), .manual = true};
    CHECK_OK(store_open(&options, &w->store, NULL, &err));
}

static World world_new(Test *t)
{
    World w = {.sim = os_sim_new(t->seed),
               .model = model_new(),
               .floats = sample_batch_new(),
               .all = sample_batch_new(),
               .now_ms = NOW_MS};
    sample_batch_extend(w.all);
    open_store(t, &w);
    return w;
}

static void world_free(Test *t, World *w)
{
    Err err;
    CHECK_OK(store_close(w->store, true, &err));
    sample_batch_free(w->floats);
    sample_batch_free(w->all);
    model_free(w->model);
    os_sim_free(w->sim);
}

static void write(Test *t, World *w, SampleBatch *batch)
{
    static const Label labels[] = {{{"__name__", 8}, {"up", 2}},
                                   {{"start_timestamp", 15}, {"a label", 7}}};
    MetricsResult result;
    Err err;
    sample_batch_clear(batch);
    for (int i = 0; i < 50; i++) {
        // Floats get values that say so, so that both batches may be read together.
        uint64_t value = (uint64_t)w->now_ms;
        while (batch == w->floats && sample_kind(value) != SAMPLE_FLOAT) {
            value += UINT64_C(1) << 50;
        }
        sample_batch_add(batch, labels, ARRAY_LEN(labels), w->now_ms++, value);
    }
    CHECK_OK(sample_batch_write(batch, w->store, &result, &err));
    CHECK_EQ(result.samples_written, 50);
    sample_batch_apply(batch, w->model);
    CHECK_MODEL(w->store, w->model, NULL);
}

static void flush(Test *t, World *w)
{
    Err err;
    CHECK_OK(store_flush(w->store, STR(""), &err));
    CHECK_MODEL(w->store, w->model, NULL);
}

static DeltaLog *open_log(Test *t, World *w)
{
    DeltaLog *log = NULL;
    Err err;
    CHECK_OK(delta_open(os_sim_os(w->sim), STR("data/default/metrics"), &log, &err));
    return log;
}

typedef struct Columns {
    bool value_nullable, histogram, start, theirs;
} Columns;

// What the log says of the columns, as another reader sees it.
static Columns columns(Test *t, World *w)
{
    DeltaLog *log = open_log(t, w);
    DeltaState *state = delta_current(log);
    const Schema *schema = delta_state_schema(state);
    const size_t histogram = schema_find(schema, STR("histogram"));
    const size_t start = schema_find(schema, STR("start_timestamp"));
    const Columns out = {
        .value_nullable = schema->fields[schema_find(schema, STR("value"))].nullable,
        .histogram = histogram != SIZE_MAX && schema->fields[histogram].type == COLUMN_BINARY,
        .start = start != SIZE_MAX && schema->fields[start].type == COLUMN_TIMESTAMP,
        .theirs = schema_find(schema, STR("theirs")) != SIZE_MAX};
    delta_state_unref(state);
    delta_close(log);
    return out;
}

// Somebody else appends a column to the table.
static void widen(Test *t, World *w, Field field)
{
    Err err;
    DeltaLog *log = open_log(t, w);
    DeltaState *state = delta_current(log);
    const Schema *schema = delta_state_schema(state);
    Field *fields = arena_new(&t->arena, Field, schema->count + 1);
    memcpy(fields, schema->fields, schema->count * sizeof(*fields));
    fields[schema->count] = field;
    const Schema wider = {.fields = fields, .count = schema->count + 1};
    const DeltaCommit commit = {.operation = "ADD COLUMNS", .schema = &wider};
    CHECK_OK(delta_commit(log, &commit, NULL, &err));
    delta_state_unref(state);
    delta_close(log);
}

TEST(histograms, the_schema_follows_the_first_sample_that_needs_it)
{
    World w = world_new(t);
    Err err;
    write(t, &w, w.floats);
    flush(t, &w);
    Columns c = columns(t, &w);
    CHECK(!c.value_nullable && !c.histogram && !c.start);
    write(t, &w, w.all);
    CHECK(!columns(t, &w).histogram);
    flush(t, &w);
    c = columns(t, &w);
    CHECK(c.value_nullable && c.histogram && c.start);
    write(t, &w, w.floats);
    flush(t, &w);
    write(t, &w, w.all);
    CHECK_OK(store_close(w.store, false, &err));
    open_store(t, &w);
    CHECK_MODEL(w.store, w.model, NULL);
    flush(t, &w);
    c = columns(t, &w);
    CHECK(c.value_nullable && c.histogram && c.start);
    world_free(t, &w);
}

TEST(histograms, a_flush_goes_on_when_others_changed_the_schema)
{
    World w = world_new(t);
    write(t, &w, w.all);
    widen(t, &w, (Field){STR("theirs"), COLUMN_STRING, true});
    flush(t, &w);
    Columns c = columns(t, &w);
    CHECK(c.value_nullable && c.histogram && c.start && c.theirs);
    world_free(t, &w);
    w = world_new(t);
    write(t, &w, w.all);
    widen(t, &w, (Field){STR("histogram"), COLUMN_BINARY, true});
    flush(t, &w);
    c = columns(t, &w);
    CHECK(c.value_nullable && c.histogram && c.start);
    world_free(t, &w);
}

// Before the name was reserved, a label could have it as its column.
TEST(histograms, an_old_label_column_keeps_the_name)
{
    World w = world_new(t);
    Err err;
    widen(t, &w, (Field){STR("start_timestamp"), COLUMN_STRING, true});
    CHECK_OK(store_close(w.store, true, &err));
    open_store(t, &w);
    write(t, &w, w.floats);
    flush(t, &w);
    write(t, &w, w.floats);
    CHECK(!columns(t, &w).start);
    world_free(t, &w);
}
