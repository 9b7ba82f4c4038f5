// SPDX-License-Identifier: Apache-2.0
//
// Configuration of `cardinal serve`: one table of settings; each is a key of the YAML file, a flag
// (--flush-interval) and an environment variable (CARDINAL_FLUSH_INTERVAL; some have an older name
// as well). Flags beat the environment, the environment beats the file, the file beats the
// defaults. Wrong values are refused with where they stand and what was expected. Built once, then
// read from any thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "store/wal.h"

enum { CONFIG_FILE_MAX_BYTES = 1 << 20 };

typedef struct ServerConfig {
    Arena arena; // holds all text
    Str listen;  // "address:port"
    Str data;
    Str tenant;
    WalDurability durability;
    int64_t sync_interval_ms;
    int64_t flush_interval_ms;
    uint64_t flush_rows;
    uint64_t flush_bytes;
    uint64_t memory_limit; // 0: half of the machine's
    uint64_t label_columns_max;
    int64_t storage_max_age_ms, storage_max_future_ms; // 0: no limit
    uint64_t labels_max, label_name_bytes_max, label_value_bytes_max;
    uint64_t request_bytes_max;
    uint64_t requests_bytes_max;
    uint64_t write_threads, read_threads;
    uint64_t sql_memory_limit;
    uint64_t sql_threads;
    int64_t sql_timeout_ms;
    Str sql_temp_dir;
    uint64_t sql_temp_limit;
    uint64_t query_samples_max, query_concurrency, query_threads, query_memory_limit;
    int64_t query_timeout_ms, query_lookback_ms;
    uint64_t exemplars_max;
    Str features;            // comma-separated; checked
    int64_t collect_tcp_ms;  // 0: off
    int64_t self_metrics_ms; // 0: off
    LogLevel log_level;
    int64_t shutdown_timeout_ms;
    bool hints; // print what to try next
} ServerConfig;

// What a value of a setting looks like.
typedef enum ConfigKind {
    CONFIG_TEXT,
    CONFIG_COUNT,
    CONFIG_BYTES,    // 64MB, 1GiB
    CONFIG_DURATION, // 5m, 100ms, 0
    CONFIG_CHOICE,
    CONFIG_SWITCH, // true, false; as a flag it needs no value
    CONFIG_LIST,   // names of `choices`, comma-separated; given again, it adds to what was
} ConfigKind;

typedef struct ConfigSetting {
    const char *key; // "flush_interval"; a '.' stays one in the flag, too
    ConfigKind kind;
    const char *fallback; // default, as text
    const char *choices;  // CONFIG_CHOICE, CONFIG_LIST: "sync|interval"
    const char *env;      // an older environment variable, or NULL
    const char *help;     // one line
    size_t offset;        // of the field in ServerConfig
    uint64_t min, max;    // CONFIG_COUNT, CONFIG_BYTES, CONFIG_DURATION (ms); max 0: none
} ConfigSetting;

const ConfigSetting *config_settings(size_t *count);

void config_init(ServerConfig *config); // the defaults
void config_deinit(ServerConfig *config);

// One setting from text. `where` begins the error message: "--flush-rows", "cardinal.yaml:3:13".
Status config_set(ServerConfig *config, const ConfigSetting *setting, Str value, const char *where,
                  Err *err);
// ERR_INVALID: not YAML, not a mapping of settings, an unknown key, a wrong value: with line and
// column.
Status config_parse_yaml(ServerConfig *config, Str text, const char *file_name, Err *err);
// `lookup` is os_env(), or a test's.
Status config_read_env(ServerConfig *config, bool (*lookup)(const char *name, Str *value),
                       Err *err);

// The flag of a setting: --flush-interval. Its value as text; all of them as YAML.
void config_put_flag(const ConfigSetting *setting, Buf *out);
void config_put_value(const ServerConfig *config, const ConfigSetting *setting, Buf *out);
void config_put_values(const ServerConfig *config, Buf *out);

// The table as text, for --help: flags, defaults, meanings.
void config_put_help(Buf *out);
// The table as YAML with comments, for an example file.
void config_put_example(Buf *out);
