// SPDX-License-Identifier: Apache-2.0
//
// Test scripts in the language of Prometheus' promqltest (promql/promqltest/README.md there): load
// series, evaluate, say what is expected. A Script is immutable and lives in the arena it was
// parsed into. Pure functions, any thread.
#pragma once

#include "series/histogram.h"
#include "series/labels.h"

enum {
    SCRIPT_BYTES_MAX = 16 << 20,
    SCRIPT_VALUES_MAX = 1 << 20,        // of one series
    SCRIPT_NO_START = 0,                // start timestamp: not known, as in Prometheus
    SCRIPT_STALE_LOW_BITS = 0x00000002, // of the NaN that says a series ended
    SCRIPT_STALE_HIGH_BITS = 0x7ff00000,
};

typedef struct ScriptValue {
    bool is_omitted; // `_`: no sample at this step
    bool has_hint;   // the histogram's counter_reset_hint was written down
    double value;
    const Histogram *histogram; // NULL: a float
} ScriptValue;

typedef struct ScriptSeries {
    LabelSet labels; // may be without a name
    const ScriptValue *values;
    size_t count;
    const int64_t *start_offsets_ms; // by value, from its own time; NULL: none has a start
    const bool *has_start;
    uint32_t line;
} ScriptSeries;

typedef struct ScriptLoad {
    int64_t step_ms;
    bool with_nhcb; // also make histograms with custom buckets of classic ones
    const ScriptSeries *series;
    size_t count;
} ScriptLoad;

typedef enum ScriptExpectKind {
    SCRIPT_ORDERED,
    SCRIPT_FAIL,
    SCRIPT_WARN,
    SCRIPT_NO_WARN,
    SCRIPT_INFO,
    SCRIPT_NO_INFO,
} ScriptExpectKind;

typedef struct ScriptExpect {
    ScriptExpectKind kind;
    bool is_any; // no text: whatever it says
    bool is_regex;
    bool is_loose; // eval_warn and eval_info: there is at least one, further ones are fine
    Str text;
} ScriptExpect;

typedef struct ScriptEval {
    Str expr;
    bool is_range;
    int64_t start_ms, end_ms, step_ms; // of an instant query end_ms is the time
    const ScriptExpect *expects;
    size_t expect_count;
    const ScriptSeries *series; // expected, in order
    size_t count;
    bool has_scalar, has_string, has_range_vector;
    double scalar;
    Str string;
} ScriptEval;

typedef enum ScriptCommandKind { SCRIPT_CLEAR, SCRIPT_LOAD, SCRIPT_EVAL } ScriptCommandKind;

typedef struct ScriptCommand {
    ScriptCommandKind kind;
    uint32_t line;
    ScriptLoad load;
    ScriptEval eval;
} ScriptCommand;

typedef struct Script {
    const ScriptCommand *commands;
    size_t count;
} Script;

// ERR_INVALID  which line, and what is wrong with it
Status script_parse(Str text, Arena *arena, Script *out, Err *err);
bool script_expects(const ScriptEval *eval, ScriptExpectKind kind);

// `name{a="b"} 1+1x5 _ stale {{schema:0 ...}}`: one line of a load or of what is expected.
Status script_series(Str line, Arena *arena, ScriptSeries *out, Err *err);
// What is left of `_ -30s-1mx2`, after `name{...}@st`: start timestamps from the samples' times.
Status script_starts(Str text, Arena *arena, ScriptSeries *out, Err *err);
// "5m", "1h30m", also "0"; milliseconds.
bool script_duration(Str text, int64_t *out_ms);
double script_stale(void); // the NaN that says a series ended
bool script_is_stale(double value);
