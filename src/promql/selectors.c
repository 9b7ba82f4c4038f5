// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "promql/parse.h"

typedef struct Found {
    const PromqlNode **items;
    size_t count, cap;
} Found;

static void visit(const PromqlNode *node, Found *found)
{
    if (node == NULL) {
        return;
    }
    switch (node->kind) {
    case PROMQL_SELECTOR:
        found->items = mem_grow(found->items, &found->cap, found->count + 1, sizeof(*found->items));
        found->items[found->count++] = node;
        break;
    case PROMQL_RANGE:
        visit(node->u.range.selector, found);
        break;
    case PROMQL_SUBQUERY:
        visit(node->u.subquery.expr, found);
        break;
    case PROMQL_CALL:
        for (size_t i = 0; i < node->u.call.arg_count; i++) {
            visit(node->u.call.args[i], found);
        }
        break;
    case PROMQL_AGGREGATE:
        visit(node->u.aggregate.param, found);
        visit(node->u.aggregate.expr, found);
        break;
    case PROMQL_BINARY:
        visit(node->u.binary.left, found);
        visit(node->u.binary.right, found);
        break;
    case PROMQL_UNARY:
        visit(node->u.unary.expr, found);
        break;
    case PROMQL_PAREN:
        visit(node->u.paren, found);
        break;
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
    case PROMQL_DURATION_EXPR:
        break;
    }
}

size_t promql_expr_selectors(const PromqlExpr *expr, Arena *arena, const PromqlNode *const **out)
{
    Found found = {0};
    visit(promql_expr_root(expr), &found);
    const PromqlNode **items = arena_new(arena, const PromqlNode *, found.count);
    if (found.count > 0) {
        memcpy(items, found.items, found.count * sizeof(*items));
    }
    mem_free(found.items);
    *out = items;
    return found.count;
}
