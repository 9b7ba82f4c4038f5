// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"
#include "tests/support/test.h"

static bool no_environment(const char *name, Str *value)
{
    (void)name, (void)value;
    return false;
}

static bool some_environment(const char *name, Str *value)
{
    if (strcmp(name, "CARDINAL_FLUSH_ROWS") == 0) {
        *value = STR("77");
        return true;
    }
    if (strcmp(name, "TENANT_ID") == 0) {
        *value = STR("acme");
        return true;
    }
    return false;
}

TEST(config, defaults_are_what_help_says)
{
    ServerConfig c;
    config_init(&c);
    CHECK_STR(c.listen, STR("127.0.0.1:8080"));
    CHECK_EQ(c.durability, WAL_SYNC);
    CHECK_EQ(c.flush_interval_ms, 300000);
    CHECK_EQ(c.flush_rows, 2000000);
    CHECK_EQ(c.flush_bytes, 100000000);
    CHECK_EQ(c.log_level, LOG_INFO);
    CHECK(!c.hints);
    config_deinit(&c);
}

TEST(config, yaml_sets_and_refuses)
{
    static const struct {
        Str text;
        const char *error; // NULL: fine
    } cases[] = {
        {STR(""), NULL},
        {STR("# nothing\n"), NULL},
        {STR("flush_rows: 12\ndurability: interval\nhints: true\n"), NULL},
        {STR("flush_rows: '12'\n"), NULL},
        {STR("flush_rows: 0\n"), "f.yaml:1:13: flush_rows: at least 1 is needed, found 0"},
        {STR("flush_rows: -1\n"), "f.yaml:1:13: flush_rows: expected a whole number, found '-1'"},
        {STR("\nflush_bytes: lots\n"),
         "f.yaml:2:14: flush_bytes: expected a size such as 64MB or 1GiB, found 'lots'"},
        {STR("flush_interval: 5\n"),
         "f.yaml:1:17: flush_interval: expected a duration such as 5m or 100ms, found '5'"},
        {STR("durability: never\n"),
         "f.yaml:1:13: durability: expected sync|interval, found 'never'"},
        {STR("hints: maybe\n"), "f.yaml:1:8: hints: expected true or false, found 'maybe'"},
        {STR("label_columns_max: 5000\n"),
         "f.yaml:1:20: label_columns_max: at most 900 is allowed, found 5000"},
        {STR("nope: 1\n"), "f.yaml:1:1: there is no setting 'nope'"},
        {STR("listen: {a: 1}\n"), "f.yaml:1:9: expected a value, found a mapping"},
        {STR("listen: [1]\n"), "f.yaml:1:9: expected a value, found a list"},
        {STR("just text\n"), "f.yaml:1:1: expected settings, one 'key: value' a line"},
        {STR("a: &x 1\n"), "f.yaml:1:1: there is no setting 'a'"},
        {STR("listen: *x\n"), "f.yaml:1:9: aliases are not allowed here"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ServerConfig c;
        Err err = {0};
        config_init(&c);
        const Status st = config_parse_yaml(&c, cases[i].text, "f.yaml", &err);
        if (cases[i].error == NULL) {
            CHECK_EQ(st, OK);
        } else {
            CHECK_EQ(st, ERR_INVALID);
            CHECK_STR(((Str){err.msg, strlen(err.msg)}),
                      ((Str){cases[i].error, strlen(cases[i].error)}));
        }
        config_deinit(&c);
    }
}

TEST(config, environment_beats_the_file)
{
    ServerConfig c;
    Err err;
    config_init(&c);
    CHECK_OK(config_parse_yaml(&c, STR("flush_rows: 5\ntenant: file\n"), "f", &err));
    CHECK_OK(config_read_env(&c, no_environment, &err));
    CHECK_EQ(c.flush_rows, 5);
    CHECK_OK(config_read_env(&c, some_environment, &err));
    CHECK_EQ(c.flush_rows, 77);
    CHECK_STR(c.tenant, STR("acme"));
    config_deinit(&c);
}

TEST(config, the_example_is_the_defaults)
{
    ServerConfig c;
    ServerConfig d;
    Err err;
    Buf text = {0};
    buf_init(&text, CONFIG_FILE_MAX_BYTES);
    config_put_example(&text);
    config_init(&c);
    config_init(&d);
    CHECK_OK(config_parse_yaml(&c, buf_str(&text), "example", &err));
    CHECK_STR(c.listen, d.listen);
    CHECK_EQ(c.flush_bytes, d.flush_bytes);
    CHECK_EQ(c.sql_timeout_ms, d.sql_timeout_ms);
    CHECK_STR(c.sql_temp_dir, d.sql_temp_dir);
    buf_deinit(&text);
    config_deinit(&c);
    config_deinit(&d);
}
