// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include "base/num.h"
#include "base/utf8.h"

#include <stdio.h>
#include <yaml.h>

// A thousand years: sums with the clock do not overflow.
#define STORAGE_AGE_MAX_MS (UINT64_C(1000) * 366 * 86400 * 1000)

#define AT(field) offsetof(ServerConfig, field)

static const ConfigSetting settings[] = {
    {"listen", CONFIG_TEXT, "127.0.0.1:8080", NULL, NULL, "address and port of the HTTP server",
     AT(listen), 0, 0},
    {"data", CONFIG_TEXT, "./data", NULL, NULL, "folder of the data", AT(data), 0, 0},
    {"tenant", CONFIG_TEXT, "default", NULL, "TENANT_ID",
     "name of the tenant whose tables these are", AT(tenant), 0, 0},
    {"durability", CONFIG_CHOICE, "sync", "sync|interval", NULL,
     "sync: acknowledged means on disk; interval: on disk within sync_interval", AT(durability), 0,
     0},
    {"sync_interval", CONFIG_DURATION, "100ms", NULL, NULL,
     "with durability interval: what a power cut may cost", AT(sync_interval_ms), 1, 60000},
    {"flush_interval", CONFIG_DURATION, "5m", NULL, NULL, "rows go to Parquet at this age",
     AT(flush_interval_ms), 100, 86400000},
    {"flush_rows", CONFIG_COUNT, "2000000", NULL, NULL,
     "or when one of the 16 shards holds this many rows", AT(flush_rows), 1, 0},
    {"flush_bytes", CONFIG_BYTES, "100MB", NULL, NULL, "or when a shard takes this much memory",
     AT(flush_bytes), 65536, 0},
    {"memory_limit", CONFIG_BYTES, "0", NULL, NULL,
     "of rows in memory and their log; writers get 429 above it; 0: half of the machine's",
     AT(memory_limit), 0, 0},
    {"label_columns_max", CONFIG_COUNT, "200", NULL, NULL,
     "labels of metrics with a column of their own", AT(label_columns_max), 1, 900},
    {"storage_max_future", CONFIG_DURATION, "2d", NULL, NULL,
     "samples further ahead of the clock are refused; 0: none are", AT(storage_max_future_ms), 0,
     STORAGE_AGE_MAX_MS},
    {"storage_max_age", CONFIG_DURATION, "0", NULL, NULL,
     "samples older than this are refused; 0: none are", AT(storage_max_age_ms), 0,
     STORAGE_AGE_MAX_MS},
    {"labels_max", CONFIG_COUNT, "64", NULL, NULL, "labels of one series, __name__ included",
     AT(labels_max), 1, 256},
    {"label_name_bytes_max", CONFIG_BYTES, "1024", NULL, NULL, "of one label name",
     AT(label_name_bytes_max), 1, 1024},
    {"label_value_bytes_max", CONFIG_BYTES, "2048", NULL, NULL, "of one label value",
     AT(label_value_bytes_max), 1, 65536},
    {"request_bytes_max", CONFIG_BYTES, "32MiB", NULL, NULL, "of one request's body, as sent",
     AT(request_bytes_max), 1024, 1 << 30},
    {"requests_bytes_max", CONFIG_BYTES, "512MiB", NULL, NULL,
     "of all bodies at one time; writers get 503 above it", AT(requests_bytes_max), 1 << 20, 0},
    {"write_threads", CONFIG_COUNT, "0", NULL, NULL, "threads that handle writes; 0: by CPUs",
     AT(write_threads), 0, 1024},
    {"read_threads", CONFIG_COUNT, "0", NULL, NULL, "threads that handle queries; 0: by CPUs",
     AT(read_threads), 0, 1024},
    {"sql_memory_limit", CONFIG_BYTES, "0", NULL, NULL,
     "of all SQL queries together; 0: a quarter of the machine's", AT(sql_memory_limit), 0, 0},
    {"sql_threads", CONFIG_COUNT, "0", NULL, NULL, "threads of SQL queries; 0: one per CPU",
     AT(sql_threads), 0, 1024},
    {"sql_timeout", CONFIG_DURATION, "60s", NULL, NULL, "of one SQL query; 0: none",
     AT(sql_timeout_ms), 0, 0},
    {"sql_temp_dir", CONFIG_TEXT, "", NULL, NULL,
     "where large SQL queries spill; empty: inside data", AT(sql_temp_dir), 0, 0},
    {"sql_temp_limit", CONFIG_BYTES, "10GiB", NULL, NULL, "of what they spill", AT(sql_temp_limit),
     1 << 20, 0},
    {"query.timeout", CONFIG_DURATION, "2m", NULL, NULL, "of one PromQL query",
     AT(query_timeout_ms), 1, 0},
    {"query.max_samples", CONFIG_COUNT, "50000000", NULL, NULL,
     "that one PromQL query may hold in memory", AT(query_samples_max), 1, 0},
    {"query.max_concurrency", CONFIG_COUNT, "20", NULL, NULL,
     "PromQL queries at one time; others wait", AT(query_concurrency), 1, 10000},
    {"query.lookback_delta", CONFIG_DURATION, "5m", NULL, NULL,
     "how far an instant looks back for a sample", AT(query_lookback_ms), 1, 0},
    {"query.threads", CONFIG_COUNT, "0", NULL, NULL, "threads of one PromQL query; 0: one per CPU",
     AT(query_threads), 0, 1024},
    {"query.memory_limit", CONFIG_BYTES, "0", NULL, NULL,
     "of one PromQL query; 0: an eighth of the machine's", AT(query_memory_limit), 0, 0},
    {"exemplars_max", CONFIG_COUNT, "100000", NULL, NULL,
     "exemplars that are kept, in memory; 0: none", AT(exemplars_max), 0, 100000000},
    {"enable_feature", CONFIG_LIST, "",
     "promql-experimental-functions|promql-duration-expr|promql-extended-range-selectors|"
     "promql-binop-fill-modifiers|promql-delayed-name-removal|type-and-unit-labels|"
     "use-start-timestamps",
     NULL, "experimental parts of PromQL to switch on", AT(features), 0, 0},
    {"collect_tcp", CONFIG_DURATION, "0", NULL, NULL,
     "collect this machine's TCP connections into flows; 0: off", AT(collect_tcp_ms), 0, 86400000},
    {"self_metrics", CONFIG_DURATION, "15s", NULL, NULL,
     "write the server's own metrics into metrics; 0: off", AT(self_metrics_ms), 0, 86400000},
    {"log_level", CONFIG_CHOICE, "info", "debug|info|warn|error", NULL,
     "least level that is logged", AT(log_level), 0, 0},
    {"shutdown_timeout", CONFIG_DURATION, "30s", NULL, NULL,
     "for requests that were accepted before a stop", AT(shutdown_timeout_ms), 0, 3600000},
    {"hints", CONFIG_SWITCH, "false", NULL, NULL, "print three commands to try", AT(hints), 0, 0},
};

const ConfigSetting *config_settings(size_t *count)
{
    *count = ARRAY_LEN(settings);
    return settings;
}

static void *field(ServerConfig *config, const ConfigSetting *setting)
{
    return (uint8_t *)config + setting->offset;
}

static Status wrong(const ConfigSetting *setting, Str value, const char *where,
                    const char *expected, Err *err)
{
    return err_set(err, ERR_INVALID, "%s: %s: expected %s, found '" STR_FMT "'", where,
                   setting->key, expected, STR_ARG(str_slice(value, 0, 60)));
}

static Status in_range(const ConfigSetting *setting, uint64_t v, const char *where, Err *err)
{
    // 0 stands for "off" or "by itself" where the table says so, that is, where it is the least
    // value.
    if (v < setting->min) {
        return err_set(err, ERR_INVALID, "%s: %s: at least %" PRIu64 " is needed, found %" PRIu64,
                       where, setting->key, setting->min, v);
    }
    if (setting->max != 0 && v > setting->max) {
        return err_set(err, ERR_INVALID, "%s: %s: at most %" PRIu64 " is allowed, found %" PRIu64,
                       where, setting->key, setting->max, v);
    }
    return OK;
}

// The number of `value` among the choices; -1 when it is none of them.
static int choice_number(const ConfigSetting *setting, Str value)
{
    Str rest = {setting->choices, strlen(setting->choices)};
    for (int i = 0; rest.len > 0; i++) {
        Str choice = rest;
        if (!str_cut(rest, '|', &choice, &rest)) {
            choice = rest;
            rest.len = 0;
        }
        if (str_eq(choice, value)) {
            return i;
        }
    }
    return -1;
}

static Status set_choice(ServerConfig *config, const ConfigSetting *setting, Str value,
                         const char *where, Err *err)
{
    const int number = choice_number(setting, value);
    if (number < 0) {
        return wrong(setting, value, where, setting->choices, err);
    }
    memcpy(field(config, setting), &number,
           sizeof(number)); // the enums are numbered as their choices
    return OK;
}

// Adds the names of `value` to the list; empty entries are nothing.
static Status add_to_list(ServerConfig *config, const ConfigSetting *setting, Str value,
                          const char *where, Err *err)
{
    Str *list = field(config, setting);
    Buf all = {0};
    buf_init(&all, 0);
    buf_put_str(&all, *list);
    for (Str name = value, rest = value; rest.len > 0;) {
        if (!str_cut(rest, ',', &name, &rest)) {
            name = rest;
            rest.len = 0;
        }
        if (name.len > 0 && choice_number(setting, name) < 0) {
            buf_deinit(&all);
            return wrong(setting, name, where, setting->choices, err);
        }
        buf_put_str(&all, all.len > 0 && name.len > 0 ? STR(",") : STR(""));
        buf_put_str(&all, name);
    }
    *list = arena_str(&config->arena, buf_str(&all));
    buf_deinit(&all);
    return OK;
}

Status config_set(ServerConfig *config, const ConfigSetting *setting, Str value, const char *where,
                  Err *err)
{
    static_assert(sizeof(WalDurability) == sizeof(int) && sizeof(LogLevel) == sizeof(int),
                  "choices are ints");
    uint64_t number = 0;
    int64_t ms = 0;

    switch (setting->kind) {
    case CONFIG_TEXT:
        if (!utf8_is_valid(value) ||
            memchr(value.ptr != NULL ? value.ptr : "", '\0', value.len) != NULL) {
            return wrong(setting, value, where, "UTF-8 text", err);
        }
        *(Str *)field(config, setting) = arena_str(&config->arena, value);
        return OK;
    case CONFIG_COUNT:
        if (!num_parse_u64(value, &number)) {
            return wrong(setting, value, where, "a whole number", err);
        }
        TRY(in_range(setting, number, where, err));
        *(uint64_t *)field(config, setting) = number;
        return OK;
    case CONFIG_BYTES:
        if (!num_parse_bytes(value, &number)) {
            return wrong(setting, value, where, "a size such as 64MB or 1GiB", err);
        }
        TRY(in_range(setting, number, where, err));
        *(uint64_t *)field(config, setting) = number;
        return OK;
    case CONFIG_DURATION:
        if (!str_eq(value, STR("0")) && !num_parse_duration_ms(value, &ms)) {
            return wrong(setting, value, where, "a duration such as 5m or 100ms", err);
        }
        TRY(in_range(setting, (uint64_t)ms, where, err));
        *(int64_t *)field(config, setting) = ms;
        return OK;
    case CONFIG_CHOICE:
        return set_choice(config, setting, value, where, err);
    case CONFIG_SWITCH:
        if (!str_eq(value, STR("true")) && !str_eq(value, STR("false"))) {
            return wrong(setting, value, where, "true or false", err);
        }
        *(bool *)field(config, setting) = str_eq(value, STR("true"));
        return OK;
    case CONFIG_LIST:
        return add_to_list(config, setting, value, where, err);
    }
    UNREACHABLE();
}

void config_init(ServerConfig *config)
{
    Err err;
    *config = (ServerConfig){0};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const Str text = {settings[i].fallback, strlen(settings[i].fallback)};
        ASSERT(config_set(config, &settings[i], text, "default", &err) == OK);
    }
}

void config_deinit(ServerConfig *config)
{
    arena_deinit(&config->arena);
}

static const ConfigSetting *find(Str key)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (str_eq(key, (Str){settings[i].key, strlen(settings[i].key)})) {
            return &settings[i];
        }
    }
    return NULL;
}

// --- YAML --------------------------------------------------------------------------------------

typedef struct YamlState {
    ServerConfig *config;
    const char *file;
    const ConfigSetting *setting; // whose value comes next
    int depth;                    // 1 inside the one mapping
    bool done;
} YamlState;

static Status yaml_wrong(const YamlState *s, yaml_mark_t mark, const char *what, Err *err)
{
    return err_set(err, ERR_INVALID, "%s:%zu:%zu: %s", s->file, mark.line + 1, mark.column + 1,
                   what);
}

static Status yaml_scalar(YamlState *s, const yaml_event_t *event, Err *err)
{
    const Str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    const yaml_mark_t mark = event->start_mark;
    char where[320];

    if (s->depth == 0 && text.len == 0) {
        return OK; // a file of comments
    }
    if (s->depth == 0) {
        return yaml_wrong(s, mark, "expected settings, one 'key: value' a line", err);
    }
    if (s->setting == NULL) {
        s->setting = find(text);
        return s->setting != NULL
                   ? OK
                   : err_set(err, ERR_INVALID, "%s:%zu:%zu: there is no setting '" STR_FMT "'",
                             s->file, mark.line + 1, mark.column + 1,
                             STR_ARG(str_slice(text, 0, 60)));
    }
    (void)snprintf(where, sizeof(where), "%.240s:%zu:%zu", s->file, mark.line + 1, mark.column + 1);
    TRY(config_set(s->config, s->setting, text, where, err));
    s->setting = NULL;
    return OK;
}

static Status yaml_event(YamlState *s, const yaml_event_t *event, Err *err)
{
    switch (event->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return OK;
    case YAML_STREAM_END_EVENT:
        s->done = true;
        return OK;
    case YAML_SCALAR_EVENT:
        return yaml_scalar(s, event, err);
    case YAML_MAPPING_START_EVENT:
        s->depth++;
        return s->depth == 1
                   ? OK
                   : yaml_wrong(s, event->start_mark, "expected a value, found a mapping", err);
    case YAML_MAPPING_END_EVENT:
        s->depth--;
        return OK;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return yaml_wrong(s, event->start_mark, "expected a value, found a list", err);
    case YAML_ALIAS_EVENT:
        return yaml_wrong(s, event->start_mark, "aliases are not allowed here", err);
    }
    UNREACHABLE();
}

Status config_parse_yaml(ServerConfig *config, Str text, const char *file_name, Err *err)
{
    Status st = OK;
    yaml_parser_t parser;
    YamlState state = {.config = config, .file = file_name};

    ASSERT(yaml_parser_initialize(&parser) == 1);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.len != 0 ? text.ptr : ""),
                                 text.len);
    while (st == OK && !state.done) {
        yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) != 1) {
            st = yaml_wrong(&state, parser.problem_mark,
                            parser.problem != NULL ? parser.problem : "not YAML", err);
            break;
        }
        st = yaml_event(&state, &event, err);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return st;
}

// --- environment and help ----------------------------------------------------------------------

static void env_name(const ConfigSetting *setting, char out[static 64])
{
    size_t len = (size_t)snprintf(out, 64, "CARDINAL_%s", setting->key);
    for (size_t i = 0; i < len; i++) {
        out[i] = out[i] == '.'                    ? '_'
                 : out[i] >= 'a' && out[i] <= 'z' ? (char)(out[i] - 32)
                                                  : out[i];
    }
}

Status config_read_env(ServerConfig *config, bool (*lookup)(const char *name, Str *value), Err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        char name[64];
        Str value = {0};
        env_name(&settings[i], name);
        bool found = lookup(name, &value);
        if (!found && settings[i].env != NULL) {
            (void)snprintf(name, sizeof(name), "%s", settings[i].env);
            found = lookup(name, &value);
        }
        if (found) {
            TRY(config_set(config, &settings[i], value, name, err));
        }
    }
    return OK;
}

void config_put_flag(const ConfigSetting *setting, Buf *out)
{
    buf_put_str(out, STR("--"));
    for (const char *c = setting->key; *c != '\0'; c++) {
        buf_put_u8(out, *c == '_' ? '-' : (uint8_t)*c);
    }
}

static void put_choice(const ConfigSetting *setting, int number, Buf *out)
{
    Str rest = {setting->choices, strlen(setting->choices)};
    Str choice = rest;
    for (int i = 0; i <= number; i++) {
        if (!str_cut(rest, '|', &choice, &rest)) {
            choice = rest;
        }
    }
    buf_put_str(out, choice);
}

void config_put_value(const ServerConfig *config, const ConfigSetting *setting, Buf *out)
{
    const uint8_t *at = (const uint8_t *)config + setting->offset;
    int choice = 0;
    switch (setting->kind) {
    case CONFIG_TEXT:
    case CONFIG_LIST:
        buf_put_str(out, *(const Str *)(const void *)at);
        break;
    case CONFIG_COUNT:
    case CONFIG_BYTES:
        num_put_u64(out, *(const uint64_t *)(const void *)at);
        break;
    case CONFIG_DURATION:
        num_put_i64(out, *(const int64_t *)(const void *)at);
        buf_put_str(out, STR("ms"));
        break;
    case CONFIG_CHOICE:
        memcpy(&choice, at, sizeof(choice));
        put_choice(setting, choice, out);
        break;
    case CONFIG_SWITCH:
        buf_put_str(out, *(const bool *)at ? STR("true") : STR("false"));
        break;
    }
}

void config_put_values(const ServerConfig *config, Buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        buf_putf(out, "%s: ", settings[i].key);
        config_put_value(config, &settings[i], out);
        buf_put_u8(out, '\n');
    }
}

void config_put_help(Buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const ConfigSetting *s = &settings[i];
        const size_t start = out->len;
        buf_put_str(out, STR("  "));
        config_put_flag(s, out);
        buf_putf(out, "%*s%s", (int)(start + 27 > out->len + 1 ? start + 27 - out->len : 1), "",
                 s->help);
        if (s->choices != NULL) {
            buf_putf(out, " (%s)", s->choices);
        }
        buf_putf(out, s->fallback[0] != '\0' ? " [%s]\n" : "\n", s->fallback);
    }
}

void config_put_example(Buf *out)
{
    buf_put_str(out,
                STR("# cardinal serve --config cardinal.yaml\n"
                    "# Every key is also a flag (--flush-interval) and an environment variable\n"
                    "# (CARDINAL_FLUSH_INTERVAL). Below are the defaults.\n"));
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const ConfigSetting *s = &settings[i];
        buf_putf(out, "\n# %s%s%s%s\n", s->help, s->choices != NULL ? " (" : "",
                 s->choices != NULL ? s->choices : "", s->choices != NULL ? ")" : "");
        buf_putf(out, s->fallback[0] != '\0' ? "%s: %s\n" : "%s: \"%s\"\n", s->key, s->fallback);
    }
}
