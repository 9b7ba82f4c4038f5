// SPDX-License-Identifier: Apache-2.0
//
// The input is a label set in wire form. Oracles: what is accepted is sorted, unique and within
// limits; its canonical form is accepted, says that it is canonical, and gives the same set; and
// the input is called canonical exactly when it is that form.
#include "base/arena.h"
#include "series/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_set(const LabelSet *set, const LabelLimits *limits)
{
    ASSERT(set->count >= 1 && set->count <= limits->count_max);
    for (size_t i = 0; i < set->count; i++) {
        const Label *label = &set->labels[i];
        ASSERT(label->name.len != 0 && label->name.len <= limits->name_bytes_max);
        ASSERT(label->value.len != 0 && label->value.len <= limits->value_bytes_max);
        ASSERT(str_eq(labels_get(set, label->name), label->value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const LabelLimits limits = {.count_max = 20, .name_bytes_max = 30, .value_bytes_max = 200};
    Arena arena = {0};
    LabelSet set;
    LabelSet again;
    bool canonical = false;
    Err err;
    if (labels_parse((Bytes){data, size}, &limits, &arena, &set, &canonical, &err) == OK) {
        Buf wire;
        Buf text;
        bool again_canonical = false;
        check_set(&set, &limits);
        buf_init(&wire, 0);
        labels_encode(&set, &wire);
        ASSERT(canonical == str_eq(buf_str(&wire), (Str){(const char *)data, size}));
        ASSERT(labels_parse(buf_bytes(&wire), &limits, &arena, &again, &again_canonical, &err) ==
               OK);
        ASSERT(again_canonical && again.count == set.count);
        for (size_t i = 0; i < set.count; i++) {
            ASSERT(str_eq(set.labels[i].name, again.labels[i].name));
            ASSERT(str_eq(set.labels[i].value, again.labels[i].value));
        }
        buf_init(&text, 0);
        labels_format(&set, 40, &text);
        ASSERT(text.len <= 43);
        buf_deinit(&text);
        buf_deinit(&wire);
    }
    arena_deinit(&arena);
    return 0;
}
