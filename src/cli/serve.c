// SPDX-License-Identifier: Apache-2.0
#include "cli/cli_internal.h"
#include "os/process.h"
#include "os/signals.h"
#include "server/server.h"

#include <stdio.h>

static const char usage_head[] = "usage: cardinal serve [--config FILE] [FLAGS]\n"
                                 "\n"
                                 "Runs the server until SIGINT or SIGTERM, then finishes what was "
                                 "accepted, writes all rows to Parquet and ends.\n"
                                 "Settings come from the defaults in [brackets], FILE (YAML, see "
                                 "cardinal config), the environment\n"
                                 "(CARDINAL_FLUSH_ROWS=...) and flags, the later winning.\n"
                                 "\n";

static int print_help(void)
{
    Buf text = {0};
    buf_init(&text, 1 << 16);
    buf_put_str(&text, (Str){usage_head, strlen(usage_head)});
    config_put_help(&text);
    cli_print(buf_str(&text));
    buf_deinit(&text);
    return EXIT_OK;
}

// Finds the setting of a flag: --flush-interval is flush_interval; Prometheus would write
// --storage.max-age.
static const ConfigSetting *setting_of_flag(const char *arg, size_t *name_len)
{
    size_t count = 0;
    const ConfigSetting *settings = config_settings(&count);
    const char *end = strchr(arg, '=');
    *name_len = end != NULL ? (size_t)(end - arg) : strlen(arg);
    for (size_t i = 0; i<count && * name_len> 2; i++) {
        bool same = strlen(settings[i].key) == *name_len - 2 && arg[0] == '-' && arg[1] == '-';
        for (size_t k = 2; same && k < *name_len; k++) {
            const char want = settings[i].key[k - 2];
            same = want == '_' ? arg[k] == '-' || arg[k] == '.' : arg[k] == want;
        }
        if (same) {
            return &settings[i];
        }
    }
    return NULL;
}

static Status take_flag(ServerConfig *config, Args *args, Err *err)
{
    size_t name_len = 0;
    char name[80];
    const char *arg = args->argv[args->at];
    const ConfigSetting *setting = setting_of_flag(arg, &name_len);
    Str value = {0};
    bool missing = false;

    if (setting == NULL) {
        return err_set(err, ERR_INVALID, "there is no flag '%.60s'", arg);
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)name_len, arg);
    if (setting->kind == CONFIG_SWITCH && args_take_switch(args, name)) {
        return config_set(config, setting, STR("true"), name, err);
    }
    (void)args_take_value(args, name, &value, &missing);
    if (missing) {
        return err_set(err, ERR_INVALID, "%s needs a value", name);
    }
    return config_set(config, setting, value, name, err);
}

// The file named by --config first, whatever stands before it.
static Status read_file(ServerConfig *config, const Args *args, Err *err)
{
    Status st = OK;
    Args scan = *args;
    Str path = {0};
    bool missing = false;
    while (scan.at < scan.count && !args_take_value(&scan, "--config", &path, &missing)) {
        scan.at++;
    }
    if (missing) {
        return err_set(err, ERR_INVALID, "--config needs a value");
    }
    if (path.len != 0) {
        Arena arena = {0};
        Bytes text = {0};
        char name[OS_PATH_MAX + 1];
        (void)snprintf(name, sizeof(name), STR_FMT, STR_ARG(path));
        st = os_read_file(os_posix(), path, CONFIG_FILE_MAX_BYTES, &arena, &text, err);
        if (st == OK) {
            st = config_parse_yaml(config, (Str){(const char *)text.ptr, text.len}, name, err);
        }
        arena_deinit(&arena);
    }
    return st;
}

static Status read_config(ServerConfig *config, Args *args, Err *err)
{
    TRY(read_file(config, args, err));
    TRY(config_read_env(config, os_env, err));
    while (args->at < args->count) {
        Str path = {0};
        bool missing = false;
        if (!args_take_value(args, "--config", &path, &missing)) {
            TRY(take_flag(config, args, err));
        }
    }
    return OK;
}

static void log_line(void *ctx, Str line)
{
    (void)ctx;
    (void)os_print_error(line); // a log that cannot be written has nowhere to complain
}

static int64_t log_time(void *ctx)
{
    (void)ctx;
    return os_wall_us(os_posix());
}

static void print_hints(const Server *server)
{
    const Str a = server_address(server);
    Buf text = {0};
    Arena arena = {0};
    const Str me = os_executable_path(&arena);
    buf_init(&text, 4096);
    buf_putf(&text,
             "\ncardinal listens on http://" STR_FMT "\n"
             "try, in another terminal:\n"
             "  " STR_FMT " sql --url http://" STR_FMT
             " \"SELECT dst_port, count(*) AS connections, sum(bytes_sent) AS sent FROM flows "
             "GROUP BY 1 ORDER BY 2 DESC LIMIT 5\"\n"
             "  " STR_FMT " sql --url http://" STR_FMT
             " \"SELECT metric_name, count(*) AS samples, max(value) AS max FROM metrics GROUP BY "
             "1 ORDER BY 1 LIMIT 10\"\n"
             "  " STR_FMT " promql --url http://" STR_FMT
             " --plot --start -5m cardinal_hot_rows\n\n",
             STR_ARG(a), STR_ARG(me), STR_ARG(a), STR_ARG(me), STR_ARG(a), STR_ARG(me), STR_ARG(a));
    cli_print(buf_str(&text));
    buf_deinit(&text);
    arena_deinit(&arena);
}

static int run(const ServerConfig *config)
{
    Err err;
    Server *server = NULL;
    static const LogSink sink = {.write = log_line, .now_us = log_time};

    log_set_sink(&sink, config->log_level);
    os_signals_block();
    (void)os_raise_open_files(); // as many as the system allows; fewer is no error
    if (server_start(os_posix(), config, &server, &err) != OK) {
        cli_complain("serve: %s", err.msg);
        return EXIT_FAILED;
    }
    log_info("cardinal listens", LOG_STR("address", server_address(server)),
             LOG_STR("data", config->data), LOG_CSTR("version", CARDINAL_VERSION));
    if (config->hints) {
        print_hints(server);
    }
    while (os_signal_wait(-1) != OS_SIGNAL_STOP) {
        log_info("configuration is read at the start only", LOG_CSTR("signal", "SIGHUP"));
    }
    log_info("stopping", LOG_STR("address", server_address(server)));
    if (server_stop(server, &err) != OK) {
        log_error("not everything was flushed: it will be after the next start", LOG_ERR(&err));
        return EXIT_FAILED;
    }
    log_info("stopped", LOG_CSTR("state", "all rows are in Parquet"));
    return EXIT_OK;
}

int cmd_serve(Args *args)
{
    Err err;
    ServerConfig config;
    int code = EXIT_OK;

    for (int i = 0; i < args->count; i++) {
        if (strcmp(args->argv[i], "--help") == 0 || strcmp(args->argv[i], "-h") == 0) {
            return print_help();
        }
    }
    config_init(&config);
    if (read_config(&config, args, &err) != OK) {
        code = cli_usage_error("serve", "%s", err.msg);
    } else {
        code = run(&config);
    }
    config_deinit(&config);
    return code;
}
