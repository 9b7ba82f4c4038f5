// SPDX-License-Identifier: Apache-2.0
//
// The expressions of the golden scripts: each is parsed and printed, and the print is parsed into
// what prints the same; or it is refused with the words the script expects.
#include "os/os.h"
#include "promql/parse.h"
#include "tests/promql/script.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

static const PromqlFeatures FEATURES = {.experimental_functions = true,
                                        .duration_expressions = true,
                                        .extended_range_selectors = true,
                                        .binop_fill_modifiers = true};

static bool print_again(Test *t, Str text, Buf *out)
{
    PromqlExpr *expr = NULL;
    Err err;
    (void)t;
    if (promql_parse(text, &FEATURES, &expr, &err) != OK) {
        return false;
    }
    promql_print(promql_expr_root(expr), out);
    promql_expr_free(expr);
    return true;
}

static const ScriptExpect *parse_failure(const ScriptEval *eval)
{
    for (size_t i = 0; i < eval->expect_count; i++) {
        const Str text = eval->expects[i].text;
        if (eval->expects[i].kind == SCRIPT_FAIL && !eval->expects[i].is_regex && text.len != 0) {
            Str head, tail;
            // 1:5: parse error: ...
            if (str_cut(text, ' ', &head, &tail) && tail.len > 12 &&
                str_eq(str_slice(tail, 0, 12), STR("parse error:"))) {
                return &eval->expects[i];
            }
        }
    }
    return NULL;
}

static size_t check_expression(Test *t, Str file, const ScriptCommand *command)
{
    const Str text = command->eval.expr;
    const ScriptExpect *failure = parse_failure(&command->eval);
    PromqlExpr *expr = NULL;
    Buf once = {0}, twice = {0};
    Err err;
    size_t wrong = 0;
    const bool ok = promql_parse(text, &FEATURES, &expr, &err) == OK;
    if (ok != (failure == NULL) ||
        (!ok && !str_eq(failure->text, (Str){err.msg, strlen(err.msg)}))) {
        (void)fprintf(stderr, STR_FMT ":%" PRIu32 ": " STR_FMT "\n  want " STR_FMT "\n  got  %s\n",
                      STR_ARG(file), command->line, STR_ARG(text),
                      STR_ARG(failure == NULL ? STR("ok") : failure->text), ok ? "ok" : err.msg);
        wrong = 1;
    } else if (ok && !str_eq(text, STR("info(m, {})")) && // printed as Prometheus does: info(m, )
               (!print_again(t, text, &once) || !print_again(t, buf_str(&once), &twice) ||
                !str_eq(buf_str(&once), buf_str(&twice)))) {
        (void)fprintf(stderr,
                      STR_FMT ":%" PRIu32 ": " STR_FMT "\n  prints " STR_FMT "\n  then   " STR_FMT
                              "\n",
                      STR_ARG(file), command->line, STR_ARG(text), STR_ARG(buf_str(&once)),
                      STR_ARG(buf_str(&twice)));
        wrong = 1;
    }
    promql_expr_free(expr);
    buf_deinit(&once);
    buf_deinit(&twice);
    return wrong;
}

TEST(parse, golden_scripts)
{
    const char *root = getenv("CARDINAL_SOURCE_ROOT"); // NOLINT(concurrency-mt-unsafe)
    char folder[512], path[1024];
    OsDirEntry *entries = NULL;
    size_t count = 0, wrong = 0, evals = 0;
    Err err;
    (void)snprintf(folder, sizeof(folder), "%s/tests/golden/promql", root != NULL ? root : ".");
    CHECK_OK(
        os_dir_list(os_posix(), (Str){folder, strlen(folder)}, &t->arena, &entries, &count, &err));
    for (size_t i = 0; i < count; i++) {
        Bytes text;
        Script script;
        const Str name = entries[i].name, suffix = STR(".test");
        if (!str_eq(str_slice(name, name.len - suffix.len, name.len), suffix)) {
            continue; // a golden file of another test
        }
        (void)snprintf(path, sizeof(path), "%s/" STR_FMT, folder, STR_ARG(entries[i].name));
        CHECK_OK(os_read_file(os_posix(), (Str){path, strlen(path)}, SCRIPT_BYTES_MAX, &t->arena,
                              &text, &err));
        if (script_parse((Str){(const char *)text.ptr, text.len}, &t->arena, &script, &err) != OK) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", path, err.msg);
        }
        for (size_t c = 0; c < script.count; c++) {
            if (script.commands[c].kind == SCRIPT_EVAL) {
                wrong += check_expression(t, entries[i].name, &script.commands[c]);
                evals++;
            }
        }
    }
    CHECK_EQ(wrong, 0);
    CHECK(evals > 2000);
}
