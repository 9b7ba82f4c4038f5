// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "os/fault.h"
#include "os/sim.h"
#include "store/delta_internal.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define DIR STR("db/metrics")
#define NAME(s)                                                                                    \
    {                                                                                              \
        .ptr = "" s, .len = sizeof(s) - 1                                                          \
    }

enum { WALL_MS = 1700000000 };

// ---- helpers

static const Field fields[] = {
    {NAME("timestamp"), COLUMN_TIMESTAMP, false},
    {NAME("metric_name"), COLUMN_STRING, false},
    {NAME("value"), COLUMN_DOUBLE, true},
    {NAME("labels"), COLUMN_MAP, true},
    {NAME("small"), COLUMN_UINT8, true},
    {NAME("large"), COLUMN_UINT64, true},
    {NAME("id"), COLUMN_UUID, true},
    {NAME("date"), COLUMN_DATE, true},
    {NAME("pod"), COLUMN_STRING, true}, // added later
    {NAME("zone \"x\""), COLUMN_STRING, true},
};
static const Schema schema = {.fields = fields, .count = 8};
static const Schema wider = {.fields = fields, .count = 10};
static const Str partitions[] = {NAME("date")};
static const DeltaKeyValue config[] = {{.key = NAME("cardinal.table"), .value = NAME("1")}};

static OsSim *new_sim(uint64_t seed)
{
    OsSim *sim = os_sim_new(seed);
    os_sim_set_wall_us(sim, (int64_t)WALL_MS * 1000000);
    return sim;
}

static DeltaLog *create_table(Test *t, Os *os)
{
    Err err;
    DeltaLog *log = NULL;
    const DeltaCreate create = {.schema = &schema,
                                .partition_columns = partitions,
                                .partition_count = 1,
                                .config = config,
                                .config_count = 1};
    CHECK_OK(delta_create(os, DIR, &create, &log, &err));
    return log;
}

static const DeltaKeyValue day[] = {{.key = NAME("date"), .value = NAME("2026-11-21")}};
static const DeltaKeyValue tags[] = {{.key = NAME("level"), .value = NAME("0")},
                                     {.key = NAME("hash"), .value = NAME("ab\"c")}};

static DeltaFile new_file(Test *t, uint64_t n)
{
    char *path = arena_new(&t->arena, char, 64);
    char *stats = arena_new(&t->arena, char, 64);
    (void)snprintf(path, 64, "date=2026-11-21/part-0-%06" PRIu64 ".parquet", n);
    (void)snprintf(stats, 64, "{\"numRecords\":%" PRIu64 ",\"nullCount\":{\"value\":0}}", n);
    return (DeltaFile){.path = {.ptr = path, .len = strlen(path)},
                       .partition = day,
                       .partition_count = 1,
                       .size_bytes = 1000 + n,
                       .modified_ms = 1700000000000,
                       .stats = {.ptr = stats, .len = strlen(stats)},
                       .tags = tags,
                       .tag_count = 2};
}

static Status append(Test *t, DeltaLog *log, uint64_t n, Err *err)
{
    const DeltaFile file = new_file(t, n);
    const DeltaTxn txn = {.app_id = STR("store/0"), .version = (int64_t)n};
    const DeltaCommit commit = {.operation = "WRITE",
                                .data_change = true,
                                .adds = &file,
                                .add_count = 1,
                                .txns = &txn,
                                .txn_count = 1};
    return delta_commit(log, &commit, NULL, err);
}

static Str log_path(Test *t, Str name)
{
    return delta_path(&t->arena, DIR, name);
}

static void write_file(Test *t, Os *os, Str path, Str text)
{
    Err err;
    OsFile *file = NULL;
    CHECK_OK(os_file_open(os, path, OS_OPEN_CREATE, &file, &err));
    CHECK_OK(os_file_truncate(file, 0, &err));
    CHECK_OK(os_file_write_at(file, 0, (Bytes){.ptr = (const uint8_t *)text.ptr, .len = text.len},
                              &err));
    os_file_close(file);
}

static Str read_text(Test *t, Os *os, Str path)
{
    Err err;
    Bytes bytes;
    CHECK_OK(os_read_file(os, path, 1 << 20, &t->arena, &bytes, &err));
    return (Str){.ptr = (const char *)bytes.ptr, .len = bytes.len};
}

// Everything a state says, as text.
static Str describe(Test *t, DeltaLog *log)
{
    Buf out = {0};
    DeltaState *state = delta_current(log);
    size_t count = 0;
    const DeltaFile *files = delta_state_files(state, &count);
    const Schema *columns = delta_state_schema(state);
    buf_putf(&out, "version %" PRIu64 " id " STR_FMT "\n", delta_state_version(state),
             STR_ARG(delta_state_id(state)));
    for (size_t i = 0; i < columns->count; i++) {
        const Field *f = &columns->fields[i];
        buf_putf(&out, "column " STR_FMT " %s%s\n", STR_ARG(f->name), column_type_sql(f->type),
                 f->nullable ? "" : " not null");
    }
    for (size_t i = 0; i < state->txn_count; i++) {
        buf_putf(&out, "txn " STR_FMT " %" PRId64 "\n", STR_ARG(state->txns[i].txn.app_id),
                 state->txns[i].txn.version);
    }
    for (size_t i = 0; i < state->meta->config_count; i++) {
        buf_putf(&out, "config " STR_FMT "=" STR_FMT "\n", STR_ARG(state->meta->config[i].key),
                 STR_ARG(state->meta->config[i].value));
    }
    for (size_t i = 0; i < count; i++) {
        const DeltaFile *f = &files[i];
        buf_putf(&out, "file " STR_FMT " %" PRIu64 " bytes %" PRId64 " rows", STR_ARG(f->path),
                 f->size_bytes, f->row_count);
        for (size_t k = 0; k < f->partition_count + f->tag_count; k++) {
            const DeltaKeyValue *e =
                k < f->partition_count ? &f->partition[k] : &f->tags[k - f->partition_count];
            buf_putf(&out, " " STR_FMT "=" STR_FMT, STR_ARG(e->key),
                     STR_ARG(e->is_null ? STR("NULL") : e->value));
        }
        buf_putf(&out, " stats " STR_FMT "\n", STR_ARG(f->stats));
    }
    delta_state_unref(state);
    const Str text = arena_str(&t->arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

static size_t file_count(DeltaLog *log)
{
    DeltaState *state = delta_current(log);
    size_t count = 0;
    (void)delta_state_files(state, &count);
    delta_state_unref(state);
    return count;
}

static uint64_t version_of(DeltaLog *log)
{
    DeltaState *state = delta_current(log);
    const uint64_t version = delta_state_version(state);
    delta_state_unref(state);
    return version;
}

// ---- paths and texts

TEST(delta, paths_are_encoded_and_decoded)
{
    static const struct {
        Str in;
        Status status;
        Str out;
    } cases[] = {
        {NAME("date=2026-01-01/part-0.parquet"), OK, NAME("date=2026-01-01/part-0.parquet")},
        {NAME("day%3D2026/a%20b%25.parquet"), OK, NAME("day=2026/a b%.parquet")},
        {NAME("t=10:00/x"), OK, NAME("t=10:00/x")},
        {NAME("%C3%A4"), OK, NAME("\xc3\xa4")},
        {NAME("%C3"), ERR_CORRUPT, NAME("")},
        {NAME("a%"), ERR_CORRUPT, NAME("")},
        {NAME("a%4"), ERR_CORRUPT, NAME("")},
        {NAME("a%zz"), ERR_CORRUPT, NAME("")},
        {NAME("a%00b"), ERR_CORRUPT, NAME("")},
        {NAME(""), ERR_CORRUPT, NAME("")},
        {NAME("/etc/passwd"), ERR_UNSUPPORTED, NAME("")},
        {NAME("s3://bucket/x"), ERR_UNSUPPORTED, NAME("")},
        {NAME("file:/x"), ERR_UNSUPPORTED, NAME("")},
        {NAME("../x"), ERR_UNSUPPORTED, NAME("")},
        {NAME("a/%2e%2E/x"), ERR_UNSUPPORTED, NAME("")},
        {NAME("a//x"), ERR_UNSUPPORTED, NAME("")},
        {NAME("a/./x"), ERR_UNSUPPORTED, NAME("")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        Str out;
        CHECK_EQ(delta_check_path(cases[i].in, &t->arena, &out, &err), cases[i].status);
        CHECK_STR(out, cases[i].out);
    }
    for (size_t i = 0; i < 2000; i++) { // any name survives
        char name[16];
        Err err;
        Str out;
        Buf encoded = {0};
        const size_t len = 1 + test_random(t) % sizeof(name);
        for (size_t k = 0; k < len; k++) {
            name[k] = (char)(1 + test_random(t) % 127);
        }
        const Str path = {.ptr = name, .len = len};
        delta_put_path(path, &encoded);
        const Status st = delta_check_path(buf_str(&encoded), &t->arena, &out, &err);
        CHECK(st == OK || st == ERR_UNSUPPORTED);
        CHECK(st != OK || str_eq(out, path));
        buf_deinit(&encoded);
    }
}

TEST(delta, row_counts_are_found_in_stats)
{
    static const struct {
        Str stats;
        int64_t count;
    } cases[] = {
        {NAME("{\"numRecords\":12}"), 12},
        {NAME("{ \"a\" : {\"numRecords\":1}, \"numRecords\" : 7 }"), 7},
        {NAME("{\"minValues\":{\"numRecords\":3}}"), -1},
        {NAME("{\"x\":\"\\\"numRecords\\\":5\",\"numRecords\":6}"), 6},
        {NAME("{\"x\":\"numRecords\"}"), -1},
        {NAME("{\"numRecords\":\"9\"}"), -1},
        {NAME("{\"numRecords\":99999999999999999999}"), -1},
        {NAME("{\"numRecords\":-1}"), -1},
        {NAME("{\"numRecords\""), -1},
        {NAME("{\"numRecords"), -1},
        {NAME("\"\\"), -1},
        {NAME(""), -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(delta_stats_row_count(cases[i].stats), cases[i].count);
    }
}

TEST(delta, schemas_survive_their_text)
{
    Err err;
    Field all[32];
    Schema in = {.fields = all};
    for (ColumnType type = COLUMN_BOOL; type <= COLUMN_MAP; type++) {
        const char *name = column_type_sql(type);
        all[in.count] = (Field){.name = {.ptr = name, .len = strlen(name)},
                                .type = type,
                                .nullable = in.count % 2 == 0};
        in.count++;
    }
    Buf text = {0};
    Schema out;
    bool has_invariants = true;
    delta_put_schema_json(&in, &text);
    CHECK_OK(delta_parse_schema(buf_str(&text), &t->arena, &out, &has_invariants, &err));
    CHECK(!has_invariants);
    CHECK_EQ(out.count, in.count);
    for (size_t i = 0; i < in.count; i++) {
        CHECK_STR(out.fields[i].name, in.fields[i].name);
        CHECK_EQ(out.fields[i].type, in.fields[i].type);
        CHECK_EQ(out.fields[i].nullable, in.fields[i].nullable);
    }
    buf_deinit(&text);
}

TEST(delta, schemas_that_are_refused)
{
#define WITH(field) NAME("{\"type\":\"struct\",\"fields\":[" field "]}")
    static const struct {
        Str json;
        Status status;
        const char *says;
    } cases[] = {
        {WITH("{\"name\":\"a\",\"type\":\"decimal(10,2)\"}"), ERR_UNSUPPORTED, "decimal(10,2)"},
        {WITH("{\"name\":\"a\",\"type\":\"timestamp_ntz\"}"), ERR_UNSUPPORTED, "timestamp_ntz"},
        {WITH("{\"name\":\"a\",\"type\":{\"type\":\"struct\",\"fields\":[]}}"), ERR_UNSUPPORTED,
         "column 'a'"},
        {WITH("{\"name\":\"a\",\"type\":{\"type\":\"map\",\"keyType\":\"string\",\"valueType\":"
              "\"long\"}}"),
         ERR_UNSUPPORTED, "map"},
        {WITH("{\"name\":\"a\",\"type\":\"long\",\"metadata\":{\"cardinal.type\":\"UUID\"}}"),
         ERR_UNSUPPORTED, "UUID"},
        {WITH("{\"name\":\"a\",\"type\":\"long\"},{\"name\":\"A\",\"type\":\"long\"}"), ERR_CORRUPT,
         "but for case"},
        {WITH("{\"type\":\"long\"}"), ERR_CORRUPT, "name"},
        {WITH("{\"name\":\"a\"}"), ERR_CORRUPT, "no type"},
        {WITH("7"), ERR_CORRUPT, "name"},
        {NAME("{\"fields\":{}}"), ERR_CORRUPT, "struct"},
        {NAME("[]"), ERR_CORRUPT, "struct"},
        {NAME("{"), ERR_CORRUPT, "struct"},
        {NAME(""), ERR_CORRUPT, "struct"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        Schema out;
        bool has_invariants = false;
        CHECK_EQ(delta_parse_schema(cases[i].json, &t->arena, &out, &has_invariants, &err),
                 cases[i].status);
        CHECK(strstr(err.msg, cases[i].says) != NULL);
    }
}

// ---- life of a table

TEST(delta, writes_exactly_these_texts)
{
    Err err;
    OsSim *sim = new_sim(7);
    Os *os = os_sim_os(sim);
    DeltaLog *log = create_table(t, os);
    CHECK_OK(append(t, log, 1, &err));
    CHECK_OK(append(t, log, 2, &err));
    const DeltaFile merged = new_file(t, 3);
    const Str gone[] = {new_file(t, 1).path, new_file(t, 2).path};
    const DeltaCommit optimize = {.operation = "OPTIMIZE",
                                  .adds = &merged,
                                  .add_count = 1,
                                  .removes = gone,
                                  .remove_count = 2};
    CHECK_OK(delta_commit(log, &optimize, NULL, &err));
    const DeltaKeyValue more[] = {{.key = STR("cardinal.table"), .value = STR("2")},
                                  {.key = STR("cardinal.sort"), .value = STR("a,b")}};
    const DeltaCommit widen = {
        .operation = "ADD COLUMNS", .schema = &wider, .config = more, .config_count = 2};
    CHECK_OK(delta_commit(log, &widen, NULL, &err));
    Buf all = {0};
    for (uint64_t v = 0; v <= 4; v++) {
        buf_put_str(&all, read_text(t, os, delta_commit_path(&t->arena, DIR, v)));
        buf_put_u8(&all, '\n');
    }
    buf_put_str(&all, describe(t, log));
    CHECK_GOLDEN("delta/commits.txt", buf_str(&all));
    buf_deinit(&all);

    const Str before = describe(t, log);
    delta_close(log);
    CHECK_OK(delta_open(os, DIR, &log, &err));
    CHECK_STR(describe(t, log), before);
    CHECK_OK(delta_checkpoint(log, &err));
    delta_close(log);
    for (uint64_t v = 0; v <= 4; v++) { // the checkpoint alone says it all
        CHECK_OK(os_unlink(os, delta_commit_path(&t->arena, DIR, v), &err));
    }
    CHECK_OK(delta_open(os, DIR, &log, &err));
    CHECK_STR(describe(t, log), before);
    CHECK_OK(append(t, log, 9, &err));
    CHECK_EQ(version_of(log), 5);
    delta_close(log);
    os_sim_free(sim);
}

TEST(delta, states_stay_as_they_were)
{
    Err err;
    OsSim *sim = new_sim(t->seed);
    DeltaLog *log = create_table(t, os_sim_os(sim));
    CHECK_OK(append(t, log, 1, &err));
    DeltaState *old = delta_current(log);
    const Str gone[] = {new_file(t, 1).path};
    const DeltaCommit commit = {.operation = "DELETE",
                                .data_change = true,
                                .removes = gone,
                                .remove_count = 1,
                                .schema = &wider};
    CHECK_OK(delta_commit(log, &commit, NULL, &err));
    CHECK_EQ(file_count(log), 0);
    delta_close(log);
    size_t count = 0;
    const DeltaFile *files = delta_state_files(old, &count);
    CHECK_EQ(count, 1);
    CHECK_STR(files[0].path, gone[0]);
    CHECK_EQ(files[0].row_count, 1);
    CHECK_EQ(delta_state_schema(old)->count, 8);
    CHECK_EQ(delta_state_txn(old, STR("store/0")), 1);
    CHECK_EQ(delta_state_txn(old, STR("store/1")), -1);
    CHECK_STR(delta_state_config(old, STR("cardinal.table")), STR("1"));
    CHECK_EQ(delta_state_config(old, STR("x")).len, 0);
    CHECK_STR(delta_state_partitions(old, &count)[0], STR("date"));
    delta_state_unref(old);
    os_sim_free(sim);
}

TEST(delta, commits_that_break_a_rule)
{
    Err err;
    OsSim *sim = new_sim(t->seed);
    DeltaLog *log = create_table(t, os_sim_os(sim));
    CHECK_OK(append(t, log, 5, &err));
    DeltaFile two[] = {new_file(t, 6), new_file(t, 6)};
    DeltaFile bare = new_file(t, 7);
    bare.partition_count = 0;
    DeltaFile other = new_file(t, 7);
    const DeltaKeyValue hour = {.key = STR("hour"), .value = STR("1")};
    other.partition = &hour;
    DeltaFile up = new_file(t, 7);
    up.path = STR("../x");
    DeltaFile binary = new_file(t, 7);
    binary.stats = STR("\xff");
    const DeltaFile again = new_file(t, 5);
    const Str absent = STR("date=2026-11-21/none.parquet");
    const Str both[] = {again.path, again.path};
    const DeltaTxn twice[] = {{.app_id = STR("a"), .version = 1},
                              {.app_id = STR("a"), .version = 2}};
    const DeltaTxn old = {.app_id = STR("store/0"), .version = 5};
    const Schema shorter = {.fields = fields, .count = 7};
    Field changed[10];
    memcpy(changed, fields, sizeof(changed));
    changed[8].nullable = false;
    const Schema strict = {.fields = changed, .count = 9};
    Field tighter[8];
    memcpy(tighter, fields, sizeof(tighter));
    tighter[2].nullable = false; // it was nullable; the other way round is allowed
    const Schema tight = {.fields = tighter, .count = 8};
    Field clash[10];
    memcpy(clash, fields, sizeof(clash));
    clash[8].name = STR("VALUE");
    const Schema same = {.fields = clash, .count = 9};
    const struct {
        DeltaCommit commit;
        Status status;
        const char *says;
    } cases[] = {
        {{.adds = two, .add_count = 2}, ERR_INVALID, "twice"},
        {{.adds = &again, .add_count = 1}, ERR_INVALID, "twice"},
        {{.adds = &bare, .add_count = 1}, ERR_INVALID, "partition"},
        {{.adds = &other, .add_count = 1}, ERR_INVALID, "no partition column 'hour'"},
        {{.adds = &up, .add_count = 1}, ERR_INVALID, "path"},
        {{.adds = &binary, .add_count = 1}, ERR_INVALID, "UTF-8"},
        {{.removes = &absent, .remove_count = 1}, ERR_INVALID, "not in the table"},
        {{.removes = both, .remove_count = 2}, ERR_INVALID, "twice"},
        {{.txns = twice, .txn_count = 2}, ERR_INVALID, "twice"},
        {{.txns = &old, .txn_count = 1}, ERR_EXISTS, "written already"},
        {{.schema = &shorter}, ERR_INVALID, "'date' is missing"},
        {{.schema = &strict}, ERR_INVALID, "nullable"},
        {{.schema = &tight}, ERR_INVALID, "'value' is missing or has changed"},
        {{.schema = &same}, ERR_INVALID, "but for case"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DeltaCommit commit = cases[i].commit;
        commit.operation = "TEST";
        CHECK_EQ(delta_commit(log, &commit, NULL, &err), cases[i].status);
        CHECK(strstr(err.msg, cases[i].says) != NULL);
        CHECK_EQ(version_of(log), 1);
    }
    const DeltaCommit remove = {.operation = "TEST", .removes = both, .remove_count = 1};
    CHECK_OK(delta_commit(log, &remove, NULL, &err));
    CHECK_EQ(delta_commit(log, &remove, NULL, &err), ERR_EXISTS);
    delta_close(log);
    CHECK_EQ(delta_create(os_sim_os(sim), DIR, &(DeltaCreate){.schema = &schema}, &log, &err),
             ERR_EXISTS);
    CHECK_EQ(delta_open(os_sim_os(sim), STR("db/none"), &log, &err), ERR_NOT_FOUND);
    os_sim_free(sim);
}

// ---- others

TEST(delta, rebases_behind_others_when_that_is_right)
{
    Err err;
    OsSim *sim = new_sim(t->seed);
    Os *os = os_sim_os(sim);
    DeltaLog *ours = create_table(t, os);
    DeltaLog *theirs = NULL;
    CHECK_OK(append(t, ours, 1, &err));
    CHECK_OK(delta_open(os, DIR, &theirs, &err));

    const DeltaFile file = new_file(t, 100);
    const DeltaCommit blind = {
        .operation = "WRITE", .data_change = true, .adds = &file, .add_count = 1};
    CHECK_OK(delta_commit(theirs, &blind, NULL, &err));
    CHECK_OK(append(t, ours, 2, &err)); // behind theirs
    CHECK_EQ(version_of(ours), 3);
    CHECK_EQ(file_count(ours), 3);

    CHECK_EQ(append(t, theirs, 2, &err), ERR_EXISTS); // our txn came in between
    CHECK_EQ(version_of(theirs), 3);
    CHECK_EQ(file_count(theirs), 3);

    const Str gone[] = {new_file(t, 1).path};
    const DeltaCommit remove = {.operation = "OPTIMIZE", .removes = gone, .remove_count = 1};
    CHECK_OK(delta_commit(theirs, &remove, NULL, &err));
    CHECK_EQ(delta_commit(ours, &remove, NULL, &err), ERR_EXISTS);
    CHECK_EQ(version_of(ours), 4);

    const DeltaCommit widen = {.operation = "ADD COLUMNS", .schema = &wider};
    CHECK_OK(delta_commit(theirs, &widen, NULL, &err));
    CHECK_EQ(append(t, ours, 3, &err), ERR_EXISTS);
    CHECK_OK(append(t, ours, 3, &err));
    CHECK_OK(delta_refresh(theirs, &err));
    CHECK_STR(describe(t, theirs), describe(t, ours));
    delta_close(theirs);
    delta_close(ours);
    os_sim_free(sim);
}

static const Str head =
    NAME("{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
         "{\"metaData\":{\"id\":\"x\",\"format\":{\"provider\":\"parquet\",\"options\":{}},"
         "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[{\\\"name\\\":\\\"a\\\","
         "\\\"type\\\":\\\"long\\\",\\\"nullable\\\":true,\\\"metadata\\\":{\\\"comment\\\":"
         "\\\"kept\\\"}}]}\",\"partitionColumns\":[],\"configuration\":{\"delta.appendOnly\":"
         "\"true\"}}}\n");

TEST(delta, logs_of_others)
{
    static const struct {
        const char *why;
        Str text; // of version 1
        Status status;
        const char *says;
    } cases[] = {
        {"unknown actions and fields",
         NAME("{\"commitInfo\":7,\"cdc\":{\"path\":\"x\"}}\n{\"surprise\":[]}\n\n"
              "{\"add\":{\"path\":\"p\",\"size\":1,\"modificationTime\":2,\"dataChange\":true,"
              "\"partitionValues\":{},\"new\":{}}}"),
         ERR_CORRUPT, "line 1: commitInfo: not an object"},
        {"an add", NAME("{\"add\":{\"path\":\"p%20q\",\"size\":1,\"modificationTime\":2}}\r\n"), OK,
         ""},
        {"no commit at all", NAME(""), OK, ""},
        {"torn", NAME("{\"add\":{\"path\":\"p\",\"si"), ERR_CORRUPT, "version 1, line 1: "},
        {"an array", NAME("[1]"), ERR_CORRUPT, "not a JSON object"},
        {"no path", NAME("{\"add\":{\"size\":1,\"modificationTime\":2}}"), ERR_CORRUPT, "path"},
        {"no size", NAME("{\"add\":{\"path\":\"p\",\"modificationTime\":2}}"), ERR_CORRUPT, "size"},
        {"a size below 0", NAME("{\"add\":{\"path\":\"p\",\"size\":-1,\"modificationTime\":2}}"),
         ERR_CORRUPT, "negative"},
        {"a size that is a text",
         NAME("{\"add\":{\"path\":\"p\",\"size\":\"1\",\"modificationTime\":2}}"), ERR_CORRUPT,
         "whole number"},
        {"a deletion vector",
         NAME("{\"add\":{\"path\":\"p\",\"size\":1,\"modificationTime\":2,"
              "\"deletionVector\":{\"storageType\":\"u\"}}}"),
         ERR_UNSUPPORTED, "deletion vectors"},
        {"a newer reader",
         NAME("{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,"
              "\"readerFeatures\":[\"deletionVectors\"],\"writerFeatures\":[]}}"),
         ERR_UNSUPPORTED, "deletionVectors"},
        {"a newer writer", NAME("{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":4}}"),
         ERR_UNSUPPORTED, "writer version 4"},
        {"a partition column that is not there",
         NAME("{\"metaData\":{\"id\":\"x\",\"schemaString\":\"{\\\"fields\\\":[]}\","
              "\"partitionColumns\":[\"d\"]}}"),
         ERR_CORRUPT, "partition column 'd'"},
        {"column mapping",
         NAME("{\"metaData\":{\"id\":\"x\",\"schemaString\":\"{\\\"fields\\\":[]}\","
              "\"configuration\":{\"delta.columnMapping.mode\":\"name\"}}}"),
         ERR_UNSUPPORTED, "column mapping"},
        {"files of another format",
         NAME("{\"metaData\":{\"id\":\"x\",\"schemaString\":\"{\\\"fields\\\":[]}\","
              "\"format\":{\"provider\":\"orc\"}}}"),
         ERR_UNSUPPORTED, "orc"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        DeltaLog *log = NULL;
        OsSim *sim = new_sim(t->seed);
        Os *os = os_sim_os(sim);
        CHECK_OK(os_mkdir_all(os, log_path(t, STR("x")), &err));
        write_file(t, os, delta_commit_path(&t->arena, DIR, 0), head);
        write_file(t, os, delta_commit_path(&t->arena, DIR, 1), cases[i].text);
        CHECK_EQ(delta_open(os, DIR, &log, &err), cases[i].status);
        CHECK(cases[i].status == OK || strstr(err.msg, cases[i].says) != NULL);
        delta_close(log);
        os_sim_free(sim);
    }
}

TEST(delta, a_file_is_there_once)
{
    Err err;
    DeltaLog *log = NULL;
    OsSim *sim = new_sim(t->seed);
    Os *os = os_sim_os(sim);
#define ADD_P "{\"add\":{\"path\":\"p\",\"size\":1,\"modificationTime\":2}}\n"
    CHECK_OK(os_mkdir_all(os, log_path(t, STR("x")), &err));
    write_file(t, os, delta_commit_path(&t->arena, DIR, 0), head);
    write_file(t, os, delta_commit_path(&t->arena, DIR, 1), STR(ADD_P ADD_P));
    write_file(t, os, delta_commit_path(&t->arena, DIR, 2), STR(ADD_P));
    CHECK_OK(delta_open(os, DIR, &log, &err));
    CHECK_EQ(file_count(log), 1);
    write_file(t, os, delta_commit_path(&t->arena, DIR, 3), STR("{\"remove\":{\"path\":\"p\"}}\n"));
    CHECK_OK(delta_refresh(log, &err));
    CHECK_EQ(file_count(log), 0);
    write_file(t, os, delta_commit_path(&t->arena, DIR, 4), STR(ADD_P));
    CHECK_OK(delta_refresh(log, &err));
    CHECK_EQ(file_count(log), 1);
    CHECK_EQ(version_of(log), 4);
    delta_close(log);
    os_sim_free(sim);
}

TEST(delta, a_table_of_others_goes_on)
{
    Err err;
    DeltaLog *log = NULL;
    OsSim *sim = new_sim(t->seed);
    Os *os = os_sim_os(sim);
    CHECK_OK(os_mkdir_all(os, log_path(t, STR("x")), &err));
    write_file(t, os, delta_commit_path(&t->arena, DIR, 0), head);
    write_file(t, os, log_path(t, STR("_last_checkpoint")), STR("{\"version\":77}")); // a lie
    write_file(t, os, log_path(t, STR("00000000000000000000.crc")), STR("{}"));
    write_file(t, os, log_path(t, STR(".tmp-of-a-crash")), STR("{"));
    CHECK_OK(delta_open(os, DIR, &log, &err));
    OsStat stat;
    CHECK_EQ(os_stat(os, log_path(t, STR(".tmp-of-a-crash")), &stat, &err), ERR_NOT_FOUND);

    const DeltaFile file = {.path = STR("a b.parquet"), .size_bytes = 1};
    const DeltaCommit add = {
        .operation = "WRITE", .data_change = true, .adds = &file, .add_count = 1};
    CHECK_OK(delta_commit(log, &add, NULL, &err));
    const DeltaCommit drop = {
        .operation = "DELETE", .data_change = true, .removes = &file.path, .remove_count = 1};
    CHECK_EQ(delta_commit(log, &drop, NULL, &err), ERR_INVALID);
    CHECK(strstr(err.msg, "append-only") != NULL);
    // What others said about their columns is kept when ours are added.
    const Field two[] = {{.name = STR("a"), .type = COLUMN_INT64, .nullable = true},
                         {.name = STR("b"), .type = COLUMN_MAP, .nullable = true}};
    const Schema both = {.fields = two, .count = 2};
    const DeltaCommit widen = {.operation = "ADD COLUMNS", .schema = &both};
    CHECK_OK(delta_commit(log, &widen, NULL, &err));
    const Str text = read_text(t, os, delta_commit_path(&t->arena, DIR, 2));
    CHECK(strstr(arena_str(&t->arena, text).ptr, "\\\"comment\\\":\\\"kept\\\"") != NULL);
    delta_close(log);

    CHECK_OK(os_unlink(os, delta_commit_path(&t->arena, DIR, 1), &err));
    CHECK_EQ(delta_open(os, DIR, &log, &err), ERR_CORRUPT);
    CHECK(strstr(err.msg, "version 1 is missing") != NULL);
    os_sim_free(sim);
}

// ---- checkpoints

TEST(delta, checkpoints_hold_everything)
{
    Err err;
    OsSim *sim = new_sim(t->seed);
    Os *os = os_sim_os(sim);
    DeltaLog *log = create_table(t, os);
    for (uint64_t n = 1; n <= 120; n++) {
        CHECK_OK(append(t, log, n, &err));
        if (n % 10 == 0) {
            const Str gone[] = {new_file(t, n - 3).path};
            const DeltaCommit remove = {
                .operation = "OPTIMIZE", .removes = gone, .remove_count = 1};
            CHECK_OK(delta_commit(log, &remove, NULL, &err));
        }
    }
    OsStat stat;
    CHECK_OK(os_stat(os, delta_checkpoint_path(&t->arena, DIR, 50), &stat, &err));
    CHECK_OK(os_stat(os, delta_checkpoint_path(&t->arena, DIR, 100), &stat, &err));
    const Str hint = read_text(t, os, log_path(t, STR("_last_checkpoint")));
    // protocol, metaData, txn, 82 files, 9 tombstones
    CHECK_STR(str_slice(hint, 0, 25), STR("{\"version\":100,\"size\":94,"));
    const Str before = describe(t, log);
    delta_close(log);
    for (uint64_t v = 0; v <= 100; v++) {
        CHECK_OK(os_unlink(os, delta_commit_path(&t->arena, DIR, v), &err));
    }
    CHECK_OK(delta_open(os, DIR, &log, &err));
    CHECK_STR(describe(t, log), before);
    delta_close(log);

    // A damaged checkpoint is as good as none: an older one has to do, and here there is none that
    // the commits follow.
    CHECK_OK(os_sim_flip_bit(sim, delta_checkpoint_path(&t->arena, DIR, 100), 600, 3, &err));
    CHECK_EQ(delta_open(os, DIR, &log, &err), ERR_CORRUPT);
    os_sim_free(sim);
}

TEST(delta, old_commits_are_cleaned_away)
{
    Err err;
    OsSim *sim = new_sim(t->seed);
    Os *os = os_sim_os(sim);
    DeltaLog *log = create_table(t, os);
    DeltaLog *sleeper = NULL;
    DeltaListing list;
    for (uint64_t n = 1; n <= 120; n++) {
        CHECK_OK(append(t, log, n, &err));
        if (n == 20) {
            CHECK_OK(delta_open(os, DIR, &sleeper, &err));
        }
    }
    os_sim_advance_ns(sim, INT64_C(31) * 24 * 3600 * 1000000000);
    for (uint64_t n = 121; n <= 149; n++) {
        CHECK_OK(append(t, log, n, &err));
    }
    CHECK_OK(delta_list(os, DIR, &t->arena, &list, &err));
    CHECK_EQ(list.commit_count, 150); // nothing yet
    CHECK_OK(append(t, log, 150, &err));
    CHECK_OK(delta_list(os, DIR, &t->arena, &list, &err));
    CHECK_EQ(list.commit_count, 51);
    CHECK_EQ(list.commits[0], 100);
    CHECK_EQ(list.checkpoint_count, 2);
    CHECK_EQ(list.checkpoints[0], 100);
    CHECK_OK(append(t, log, 151, &err));
    // The name of version 21 is free again, and nobody may take it.
    CHECK_EQ(append(t, sleeper, 200, &err), ERR_EXISTS);
    CHECK_STR(describe(t, sleeper), describe(t, log));
    CHECK_OK(append(t, sleeper, 200, &err));
    CHECK_OK(delta_refresh(log, &err));
    CHECK_EQ(version_of(log), 152);
    delta_close(sleeper);
    delta_close(log);
    CHECK_OK(delta_open(os, DIR, &log, &err));
    CHECK_EQ(file_count(log), 152);
    delta_close(log);
    os_sim_free(sim);
}

TEST(delta, a_damaged_checkpoint_is_not_needed_while_there_are_commits)
{
    Err err;
    OsSim *sim = new_sim(t->seed);
    Os *os = os_sim_os(sim);
    DeltaLog *log = create_table(t, os);
    for (uint64_t n = 1; n <= 60; n++) {
        CHECK_OK(append(t, log, n, &err));
    }
    const Str before = describe(t, log);
    delta_close(log);
    OsStat stat;
    CHECK_OK(os_stat(os, delta_checkpoint_path(&t->arena, DIR, 50), &stat, &err));
    for (uint64_t offset = 4; offset < stat.size_bytes; offset += 1 + test_random(t) % 16) {
        const uint32_t bit = (uint32_t)(test_random(t) % 8);
        const Str path = delta_checkpoint_path(&t->arena, DIR, 50);
        CHECK_OK(os_sim_flip_bit(sim, path, offset, bit, &err));
        CHECK_OK(delta_open(os, DIR, &log, &err));
        CHECK_STR(describe(t, log), before);
        delta_close(log);
        CHECK_OK(os_sim_flip_bit(sim, path, offset, bit, &err));
    }
    os_sim_free(sim);
}

// Written by delta-rs 1.6: dictionaries, snappy, other orders of columns, many that we do not know.
TEST(delta, a_checkpoint_of_others)
{
    Err err;
    Bytes bytes;
    Str name;
    Str rest;
    DeltaLog *log = NULL;
    OsSim *sim = new_sim(t->seed);
    Os *os = os_sim_os(sim);
    const char *root = getenv("CARDINAL_SOURCE_ROOT"); // NOLINT(concurrency-mt-unsafe)
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/delta/theirs_checkpoint",
                   root != NULL ? root : ".");
    CHECK_OK(os_read_file(os_posix(), (Str){.ptr = path, .len = strlen(path)}, 1 << 20, &t->arena,
                          &bytes, &err));
    const Str text = {.ptr = (const char *)bytes.ptr, .len = bytes.len};
    CHECK(str_cut(text, '\n', &name, &rest));
    // What follows the checkpoint in that file is "\n%%% hint\n" and the hint.
    size_t end = rest.len - 1;
    while (end > 0 && !str_eq(str_slice(rest, end, end + 9), STR("\n%%% hint"))) {
        end--;
    }
    CHECK(end > 0);
    CHECK_OK(os_mkdir_all(os, log_path(t, STR("x")), &err));
    write_file(t, os, delta_checkpoint_path(&t->arena, DIR, 3), str_slice(rest, 0, end));
    CHECK_OK(delta_open(os, DIR, &log, &err));
    CHECK_GOLDEN("delta/checkpoint_of_delta_rs.txt", describe(t, log));
    delta_close(log);
    os_sim_free(sim);
}

TEST(delta, many_files)
{
    enum { FILES = 20000 };
    Err err;
    OsSim *sim = new_sim(t->seed);
    DeltaLog *log = create_table(t, os_sim_os(sim));
    DeltaFile *files = arena_new(&t->arena, DeltaFile, FILES);
    for (uint64_t n = 0; n < FILES; n++) {
        files[n] = new_file(t, n);
    }
    const DeltaCommit commit = {
        .operation = "WRITE", .data_change = true, .adds = files, .add_count = FILES};
    CHECK_OK(delta_commit(log, &commit, NULL, &err));
    CHECK_EQ(file_count(log), FILES);
    Str *gone = arena_new(&t->arena, Str, FILES);
    for (size_t i = 0; i < FILES / 2; i++) {
        gone[i] = files[i * 2].path;
    }
    const DeltaCommit remove = {
        .operation = "OPTIMIZE", .removes = gone, .remove_count = FILES / 2};
    CHECK_OK(delta_commit(log, &remove, NULL, &err));
    CHECK_EQ(file_count(log), FILES / 2);
    CHECK_OK(delta_checkpoint(log, &err));
    const Str before = describe(t, log);
    delta_close(log);
    CHECK_OK(delta_open(os_sim_os(sim), DIR, &log, &err));
    CHECK_STR(describe(t, log), before);
    delta_close(log);
    os_sim_free(sim);
}
