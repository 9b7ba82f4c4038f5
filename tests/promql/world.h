// SPDX-License-Identifier: Apache-2.0
//
// A store in a simulated machine that `load` commands write to, and where its samples lie. One
// thread.
#pragma once

#include "store/store.h"
#include "tests/promql/script.h"

typedef enum WorldPlace {
    WORLD_HOT,     // everything in memory
    WORLD_PARQUET, // everything in files
    WORLD_MIXED,   // of each series every other sample in a file, the rest in memory
} WorldPlace;

typedef struct World World;

Status world_open(WorldPlace place, World **out, Err *err);
void world_close(World *world); // accepts NULL
Store *world_store(World *world);
Status world_load(World *world, const ScriptLoad *load, Err *err);
// Puts samples where they belong; to be called before they are queried.
Status world_settle(World *world, Err *err);

// --- what is loaded ------------------------------------------------------------------------------

typedef struct LoadSample {
    int64_t time_ms, start_ms; // start_ms: SCRIPT_NO_START when not known
    double value;
    const Histogram *histogram;
} LoadSample;

typedef struct LoadSeries {
    LabelSet labels;
    LoadSample *samples;
    size_t count;
} LoadSeries;

// The samples of a load.
Status load_expand(const ScriptLoad *load, Arena *arena, LoadSeries **out, size_t *count, Err *err);
// Histograms with custom buckets made of the classic ones of a load, as Prometheus'
// convert_classic_histograms_to_nhcb does.
Status load_convert_classic(const ScriptLoad *load, Arena *arena, LoadSeries **out, size_t *count,
                            Err *err);
