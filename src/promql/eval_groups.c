// SPDX-License-Identifier: Apache-2.0
#include "promql/eval_internal.h"

void eval_groups_init(EvalGroups *groups, const EvalGrouping *by, Arena *arena)
{
    Str *names = arena_new(arena, Str, by->count + 1);
    const Label name = {.name = STR("__name__")};
    const LabelSet name_set = {&name, 1};
    size_t n = 0;
    bool in = !by->without; // else the name goes with the others, in its place
    for (size_t i = 0; i < by->count; i++) {
        const Label label = {.name = by->names[i]};
        const LabelSet set = {&label, 1};
        const int order = eval_labels_compare(&set, &name_set);
        if (!in && order >= 0) {
            names[n++] = name.name;
            in = true;
        }
        if (!by->without || order != 0) {
            names[n++] = label.name;
        }
    }
    if (!in) {
        names[n++] = name.name;
    }
    *groups = (EvalGroups){.names = names, .name_count = n, .without = by->without};
}

EvalGrouping eval_grouping(const PlanNode *aggregate)
{
    return (EvalGrouping){.names = aggregate->u.aggregate.grouping,
                          .count = aggregate->u.aggregate.grouping_count,
                          .without = aggregate->u.aggregate.without};
}

void eval_groups_deinit(EvalGroups *groups)
{
    mem_free(groups->labels);
    mem_free(groups->hashes);
    mem_free(groups->slots);
    *groups = (EvalGroups){0};
}

static void grow_slots(EvalGroups *g)
{
    const size_t count = g->slot_count == 0 ? 16 : 2 * g->slot_count;
    mem_free(g->slots);
    g->slots = mem_new(uint32_t, count);
    g->slot_count = count;
    for (size_t i = 0; i < g->count; i++) {
        size_t slot = g->hashes[i] & (count - 1);
        while (g->slots[slot] != 0) {
            slot = (slot + 1) & (count - 1);
        }
        g->slots[slot] = (uint32_t)i + 1;
    }
}

// The slot of a set's group, or the empty one where it would be.
static size_t find_slot(const EvalGroups *g, const LabelSet *set, uint64_t hash)
{
    size_t slot = hash & (g->slot_count - 1);
    for (; g->slots[slot] != 0; slot = (slot + 1) & (g->slot_count - 1)) {
        const size_t i = g->slots[slot] - 1;
        if (g->hashes[i] == hash &&
            eval_labels_equal_of(&g->labels[i], set, g->names, g->name_count, g->without)) {
            break;
        }
    }
    return slot;
}

bool eval_groups_get(const EvalGroups *groups, const LabelSet *set, size_t *out)
{
    if (groups->count == 0) {
        return false;
    }
    const uint64_t hash =
        eval_labels_hash_of(set, groups->names, groups->name_count, groups->without);
    const size_t slot = find_slot(groups, set, hash);
    *out = (size_t)groups->slots[slot] - 1;
    return groups->slots[slot] != 0;
}

size_t eval_groups_find(EvalGroups *groups, const LabelSet *set, Arena *arena)
{
    EvalGroups *g = groups;
    const uint64_t hash = eval_labels_hash_of(set, g->names, g->name_count, g->without);
    if (2 * (g->count + 1) > g->slot_count) {
        grow_slots(g);
    }
    const size_t slot = find_slot(g, set, hash);
    if (g->slots[slot] != 0) {
        return g->slots[slot] - 1;
    }
    const size_t i = g->count++;
    g->slots[slot] = (uint32_t)i + 1;
    g->labels = mem_grow(g->labels, &g->labels_cap, g->count, sizeof(*g->labels));
    g->hashes = mem_grow(g->hashes, &g->hashes_cap, g->count, sizeof(*g->hashes));
    g->hashes[i] = hash;
    Label *into = arena_new(arena, Label, set->count);
    g->labels[i] = eval_labels_pick(set, g->names, g->name_count, g->without, into);
    return i;
}
