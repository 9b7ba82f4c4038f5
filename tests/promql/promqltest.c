// SPDX-License-Identifier: Apache-2.0
//
// Runs PromQL test scripts. Prints TAP, one case per file and mode, with what failed as comments.
//
//   promqltest [-v] [-m MODE] [FILE | FILE:LINE | FOLDER | --shared]...
//
//   -v        name every evaluation, not only those that failed
//   -m MODE   hot, parquet, mixed, hot-unpruned, parquet-unpruned; all of them when not given
//   FILE:LINE only the evaluation that begins on that line
//   --shared  the conformance scripts of $CARDINAL_SHARED, skipped where there are none
#include "base/mem.h"
#include "base/num.h"
#include "os/os.h"
#include "tests/promql/runner.h"

#include <stdio.h>
#include <stdlib.h>

static const RunMode MODES[] = {
    {"hot", WORLD_HOT, false},
    {"parquet", WORLD_PARQUET, false},
    {"mixed", WORLD_MIXED, false},
    {"hot-unpruned", WORLD_HOT, true},
    {"parquet-unpruned", WORLD_PARQUET, true},
};

typedef struct Program {
    Arena arena;
    const char *mode; // NULL: all
    bool verbose;
    size_t cases, failed_cases;
    // What failed in the first mode, with its words: the others name only what is new.
    uint32_t *known;
    size_t known_count, known_cap, same;
    bool is_first_mode;
    Str file;
    const char *mode_name;
} Program;

static bool is_known(const Program *p, uint32_t line)
{
    for (size_t i = 0; i < p->known_count; i++) {
        if (p->known[i] == line) {
            return true;
        }
    }
    return false;
}

static void print_comment(Str text)
{
    while (text.len != 0) {
        Str line = text;
        if (!str_cut(text, '\n', &line, &text)) {
            text = (Str){0};
        }
        (void)printf("#     " STR_FMT "\n", STR_ARG(line));
    }
}

static void report(void *ctx, const ScriptCommand *command, bool passed, Str why)
{
    Program *p = ctx;
    if (passed && !p->verbose) {
        return;
    }
    if (!passed && !p->is_first_mode && is_known(p, command->line)) {
        p->same++;
        return;
    }
    (void)printf("# %s " STR_FMT ":%" PRIu32 " [%s] " STR_FMT "\n", passed ? "ok" : "FAILED",
                 STR_ARG(p->file), command->line, p->mode_name, STR_ARG(command->eval.expr));
    print_comment(why);
    if (!passed && p->is_first_mode) {
        p->known = mem_grow(p->known, &p->known_cap, p->known_count + 1, sizeof(*p->known));
        p->known[p->known_count++] = command->line;
    }
}

static void run_mode(Program *p, const Script *script, RunMode mode, uint32_t line)
{
    Err err;
    RunCounts counts;
    p->mode_name = mode.name;
    p->same = 0;
    const RunOptions options = {.mode = mode, .line = line, .report = report, .ctx = p};
    const Status st = run_script(script, &options, &counts, &err);
    if (st != OK) {
        (void)printf("# FAILED " STR_FMT " [%s] %s\n", STR_ARG(p->file), mode.name, err.msg);
    }
    (void)printf("# " STR_FMT " [%s]: %zu passed, %zu failed", STR_ARG(p->file), mode.name,
                 counts.passed, counts.failed);
    if (p->same != 0) {
        (void)printf(" (%zu as before)", p->same);
    }
    const bool ok = st == OK && counts.failed == 0 && counts.passed != 0;
    p->cases++;
    p->failed_cases += ok ? 0 : 1;
    (void)printf("\n%sok %zu - " STR_FMT " %s\n", ok ? "" : "not ", p->cases, STR_ARG(p->file),
                 mode.name);
    (void)fflush(stdout);
}

static Status run_file(Program *p, Str path, uint32_t line, Err *err)
{
    Bytes text;
    Script script;
    TRY(os_read_file(os_posix(), path, SCRIPT_BYTES_MAX, &p->arena, &text, err));
    if (script_parse((Str){(const char *)text.ptr, text.len}, &p->arena, &script, err) != OK) {
        return err_prefix(err, STR_FMT ": ", STR_ARG(path));
    }
    p->file = path;
    for (size_t i = 0; i < path.len; i++) {
        p->file = path.ptr[i] == '/' ? str_slice(path, i + 1, path.len) : p->file;
    }
    p->known_count = 0;
    p->is_first_mode = true;
    for (size_t i = 0; i < ARRAY_LEN(MODES); i++) {
        if (p->mode == NULL || strcmp(p->mode, MODES[i].name) == 0) {
            run_mode(p, &script, MODES[i], line);
            p->is_first_mode = false;
        }
    }
    return OK;
}

static Status run_folder(Program *p, Str folder, Err *err)
{
    OsDirEntry *entries = NULL;
    size_t count = 0;
    TRY(os_dir_list(os_posix(), folder, &p->arena, &entries, &count, err));
    for (size_t i = 0; i < count; i++) {
        const Str name = entries[i].name, suffix = STR(".test");
        char path[OS_PATH_MAX + 1];
        if (name.len > suffix.len &&
            str_eq(str_slice(name, name.len - suffix.len, name.len), suffix)) {
            const int n =
                snprintf(path, sizeof(path), STR_FMT "/" STR_FMT, STR_ARG(folder), STR_ARG(name));
            TRY(run_file(p, (Str){path, (size_t)n}, 0, err));
        }
    }
    return OK;
}

// A file, FILE:LINE, or a folder.
static Status run_path(Program *p, Str path, Err *err)
{
    OsStat stat;
    Str file = path, number;
    uint64_t line = 0;
    if (str_cut(path, ':', &file, &number) && !num_parse_u64(number, &line)) {
        return err_set(err, ERR_INVALID, "'" STR_FMT "' is not a line", STR_ARG(number));
    }
    TRY(os_stat(os_posix(), file, &stat, err));
    return stat.is_dir ? run_folder(p, file, err) : run_file(p, file, (uint32_t)line, err);
}

static Status run_shared(Program *p, Err *err)
{
    const char *shared = getenv("CARDINAL_SHARED"); // NOLINT(concurrency-mt-unsafe)
    char folder[OS_PATH_MAX + 1];
    OsStat stat;
    const int n = snprintf(folder, sizeof(folder), "%s/conformance/promql",
                           shared != NULL ? shared : "../shared");
    if (os_stat(os_posix(), (Str){folder, (size_t)n}, &stat, err) != OK) {
        (void)printf("ok %zu - conformance # SKIP no conformance scripts; set CARDINAL_SHARED\n",
                     ++p->cases);
        return OK;
    }
    return run_folder(p, (Str){folder, (size_t)n}, err);
}

int main(int argc, char **argv)
{
    static Program program;
    Err err;
    for (int i = 1; i < argc; i++) {
        Status st = OK;
        if (strcmp(argv[i], "-v") == 0) {
            program.verbose = true;
        } else if (strcmp(argv[i], "-m") == 0 && i + 1 < argc) {
            program.mode = argv[++i];
        } else if (strcmp(argv[i], "--shared") == 0) {
            st = run_shared(&program, &err);
        } else {
            st = run_path(&program, (Str){argv[i], strlen(argv[i])}, &err);
        }
        if (st != OK) {
            (void)printf("# %s\nnot ok %zu - %s\n", err.msg, ++program.cases, argv[i]);
            program.failed_cases++;
        }
    }
    (void)printf("1..%zu\n", program.cases);
    mem_free(program.known);
    arena_deinit(&program.arena);
    return program.failed_cases == 0 && program.cases != 0 ? 0 : 1;
}
