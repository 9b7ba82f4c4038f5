// SPDX-License-Identifier: Apache-2.0
//
// cardinal-load: makes loads and sends them. See load.h; bench/run drives it.
#include "bench/load.h"

#include "base/num.h"

#include <stdio.h>

static const char usage[] =
    "usage: cardinal-load gen metrics|flows --out FILE [OPTIONS]\n"
    "       cardinal-load send FILE --url http://ADDRESS:PORT/PATH [OPTIONS]\n"
    "       cardinal-load sink\n"
    "\n"
    "gen makes a corpus: requests ready to be sent, the same for the same options. Numbers take k, "
    "M, G.\n"
    "  --samples N         samples, up to whole ticks; or rows              [1M]\n"
    "  --per-request N     samples or rows of one request                   [10k]\n"
    "  --shards N          most connections of a replay, 1..64              [8]\n"
    "  --start MS          first timestamp, ms since 1970                   [1767225600000]\n"
    "  --seed N                                                             [0]\n"
    "  --format ndjson|csv of flows                                         [ndjson]\n"
    "  --bare              bodies alone, for readers of files\n"
    " metrics:\n"
    "  --series N          alive at any one time                            [100k]\n"
    "  --metrics N         metric names                                     [4]\n"
    "  --conns N           connections of one pod                           [25]\n"
    "  --services N        the pods belong to                               [100]\n"
    "  --values counter|intgauge|gauge2|float|mix                           [mix]\n"
    "  --churn F           part of the pods that is replaced each tick      [0]\n"
    "  --interval MS       tick                                             [15000]\n"
    "  --first-tick N      leaves out the ticks before                      [0]\n"
    " flows:\n"
    "  --pool N            flows alive at any one time                      [200k]\n"
    "  --flow-rows N       mean rows of one flow                            [5]\n"
    "  --sources N, --destinations N  addresses                             [20k, 5k]\n"
    "  --span MS           the rows spread over this time                   [3600000]\n"
    "\n"
    "send replays it and prints one JSON object.\n"
    "  --connections N     at most the shards of the corpus                 [4]\n"
    "  --retries N         of one request after 429, 503, a lost connection [200]\n"
    "  --timeout MS        of one answer                                    [300000]\n"
    "\n"
    "sink answers every request with 204 and prints its port: what sending itself costs.\n";

typedef struct Args {
    int count, at;
    char **argv;
} Args;

static Str text_of(const char *s)
{
    return (Str){.ptr = s, .len = strlen(s)};
}

// Takes `name VALUE`. False when another argument stands here.
static Status take_value(Args *args, const char *name, Str *value, bool *taken, Err *err)
{
    *taken = strcmp(args->argv[args->at], name) == 0;
    if (!*taken) {
        return OK;
    }
    if (args->at + 1 >= args->count) {
        return err_set(err, ERR_INVALID, "%s needs a value", name);
    }
    *value = text_of(args->argv[args->at + 1]);
    args->at += 2;
    return OK;
}

typedef struct CountOption {
    const char *name;
    uint64_t *to;
    uint64_t min, max;
} CountOption;

static Status take_count(Args *args, const CountOption *options, size_t option_count, bool *taken,
                         Err *err)
{
    *taken = false;
    for (size_t i = 0; i < option_count && !*taken; i++) {
        const CountOption *o = &options[i];
        Str value = {0};
        TRY(take_value(args, o->name, &value, taken, err));
        if (*taken && (!num_parse_bytes(value, o->to) || *o->to < o->min || *o->to > o->max)) {
            return err_set(err, ERR_INVALID,
                           "%s: expected a number in %" PRIu64 "..%" PRIu64 ", found '" STR_FMT "'",
                           o->name, o->min, o->max, STR_ARG(value));
        }
    }
    return OK;
}

static Status parse_choice(const char *name, Str value, const char *const *choices, size_t count,
                           size_t *out, Err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(value, text_of(choices[i]))) {
            *out = i;
            return OK;
        }
    }
    return err_set(err, ERR_INVALID, "%s: there is no choice '" STR_FMT "'", name, STR_ARG(value));
}

static Status take_gen_choice(Args *args, LoadOptions *o, bool *taken, Err *err)
{
    static const char *const values[] = {"counter", "intgauge", "gauge2", "float", "mix"};
    static const char *const formats[] = {"ndjson", "csv"};
    Str value = {0};
    size_t choice = 0;
    TRY(take_value(args, "--values", &value, taken, err));
    if (*taken) {
        TRY(parse_choice("--values", value, values, ARRAY_LEN(values), &choice, err));
        o->values = (LoadValues)choice;
        return OK;
    }
    TRY(take_value(args, "--format", &value, taken, err));
    if (*taken) {
        TRY(parse_choice("--format", value, formats, ARRAY_LEN(formats), &choice, err));
        o->kind = choice == 0 ? CORPUS_NDJSON : CORPUS_CSV;
        return OK;
    }
    TRY(take_value(args, "--churn", &value, taken, err));
    if (*taken && (!num_parse_f64(value, &o->churn) || !(o->churn >= 0 && o->churn <= 1))) {
        return err_set(err, ERR_INVALID, "--churn: expected a part in 0..1");
    }
    if (*taken) {
        return OK;
    }
    return take_value(args, "--out", &o->out, taken, err);
}

static Status parse_gen(Args *args, LoadOptions *o, Err *err)
{
    static const uint64_t MANY = UINT64_C(4000000000);
    uint64_t start_ms = UINT64_C(1767225600000), interval_ms = 15000, span_ms = 3600000;
    const CountOption counts[] = {
        {"--samples", &o->samples, 1, UINT64_C(1) << 40},
        {"--per-request", &o->per_request, 1, 1000000},
        {"--shards", &o->shards, 1, CORPUS_SHARDS_MAX},
        {"--start", &start_ms, 0, UINT64_C(1) << 52},
        {"--seed", &o->seed, 0, UINT64_MAX},
        {"--series", &o->series, 1, MANY},
        {"--metrics", &o->metrics, 1, 100000},
        {"--conns", &o->conns, 1, 1 << 16},
        {"--services", &o->services, 1, 1000},
        {"--interval", &interval_ms, 1, 86400000},
        {"--first-tick", &o->first_tick, 0, MANY},
        {"--pool", &o->pool, 1, MANY},
        {"--flow-rows", &o->flow_rows, 1, MANY},
        {"--sources", &o->sources, 1, 1 << 24},
        {"--destinations", &o->destinations, 1, 1 << 20},
        {"--span", &span_ms, 1, UINT64_C(1) << 40},
    };
    while (args->at < args->count) {
        bool taken = false;
        TRY(take_count(args, counts, ARRAY_LEN(counts), &taken, err));
        if (!taken) {
            TRY(take_gen_choice(args, o, &taken, err));
        }
        if (!taken && strcmp(args->argv[args->at], "--bare") == 0) {
            o->bare = true;
            args->at++;
            taken = true;
        }
        if (!taken) {
            return err_set(err, ERR_INVALID, "there is no option '%.60s'", args->argv[args->at]);
        }
    }
    o->start_ms = (int64_t)start_ms;
    o->interval_ms = (int64_t)interval_ms;
    o->span_ms = (int64_t)span_ms;
    return o->out.len == 0 ? err_set(err, ERR_INVALID, "gen needs --out FILE") : OK;
}

static Status run_gen(Args *args, Err *err)
{
    LoadOptions o = {.kind = CORPUS_NDJSON,
                     .samples = 1000000,
                     .shards = 8,
                     .per_request = 10000,
                     .series = 100000,
                     .metrics = 4,
                     .conns = 25,
                     .services = 100,
                     .values = LOAD_MIX,
                     .pool = 200000,
                     .flow_rows = 5,
                     .sources = 20000,
                     .destinations = 5000};
    const Str workload = args->at < args->count ? text_of(args->argv[args->at++]) : (Str){0};
    if (str_eq(workload, STR("metrics"))) {
        TRY(parse_gen(args, &o, err));
        o.kind = CORPUS_REMOTE_WRITE;
        return load_metrics(&o, err);
    }
    if (str_eq(workload, STR("flows"))) {
        TRY(parse_gen(args, &o, err));
        return load_flows(&o, err);
    }
    return err_set(err, ERR_INVALID, "gen: expected metrics or flows");
}

static Status parse_url(Str url, SendOptions *o, Err *err)
{
    static const Str scheme = STR("http://");
    Str host = {0}, path = {0}, port = {0};
    uint64_t number = 0;
    if (!str_eq(str_slice(url, 0, scheme.len), scheme) ||
        !str_cut(str_slice(url, scheme.len, url.len), '/', &host, &path) ||
        !str_cut(host, ':', &o->address, &port) || !num_parse_u64(port, &number) ||
        number > UINT16_MAX) {
        return err_set(err, ERR_INVALID,
                       "--url: expected http://ADDRESS:PORT/PATH, found '" STR_FMT "'",
                       STR_ARG(url));
    }
    o->port = (uint16_t)number;
    o->path = (Str){.ptr = path.ptr - 1, .len = path.len + 1}; // with its slash
    return OK;
}

static Status run_send(Args *args, Err *err)
{
    uint64_t connections = 4, retries = 200, timeout_ms = 300000;
    SendOptions o = {0};
    const CountOption counts[] = {{"--connections", &connections, 1, LOAD_CONNECTIONS_MAX},
                                  {"--retries", &retries, 0, 100000},
                                  {"--timeout", &timeout_ms, 1, 86400000}};
    if (args->at < args->count) {
        o.corpus = text_of(args->argv[args->at++]);
    }
    while (args->at < args->count) {
        Str url = {0};
        bool taken = false;
        TRY(take_count(args, counts, ARRAY_LEN(counts), &taken, err));
        if (!taken) {
            TRY(take_value(args, "--url", &url, &taken, err));
            if (taken) {
                TRY(parse_url(url, &o, err));
            }
        }
        if (!taken) {
            return err_set(err, ERR_INVALID, "there is no option '%.60s'", args->argv[args->at]);
        }
    }
    if (o.corpus.len == 0 || o.path.len == 0) {
        return err_set(err, ERR_INVALID, "send needs FILE and --url URL");
    }
    o.connections = (uint32_t)connections;
    o.retries = (uint32_t)retries;
    o.timeout_ms = (int64_t)timeout_ms;
    return load_send(&o, err);
}

int main(int argc, char **argv)
{
    Err err;
    Args args = {.count = argc, .at = 2, .argv = argv};
    const Str command = argc > 1 ? text_of(argv[1]) : (Str){0};
    Status st = OK;

    if (str_eq(command, STR("gen"))) {
        st = run_gen(&args, &err);
    } else if (str_eq(command, STR("send"))) {
        st = run_send(&args, &err);
    } else if (str_eq(command, STR("sink"))) {
        st = load_sink(&err);
    } else {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (st != OK) {
        (void)fprintf(stderr, "cardinal-load: %s\n", err.msg);
        return st == ERR_INVALID ? 2 : 1;
    }
    return 0;
}
