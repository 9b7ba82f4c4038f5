// SPDX-License-Identifier: Apache-2.0
#include "promql/engine_internal.h"

static void indent(Buf *out, int depth)
{
    for (int i = 0; i < depth; i++) {
        buf_put_str(out, STR("  "));
    }
}

static void put_scan(const EvalScan *scan, int depth, Buf *out)
{
    ScanStats s = {0};
    series_scan_stats(scan->scan, &s);
    indent(out, depth);
    buf_putf(out, "time %" PRId64 " to %" PRId64 " ms\n", scan->min_ms, scan->max_ms);
    indent(out, depth);
    buf_putf(out,
             "files %" PRIu64 " (%" PRIu64 " pruned), row groups %" PRIu64 " (%" PRIu64
             " pruned), pages %" PRIu64 " (%" PRIu64 " pruned)\n",
             s.files_total, s.files_pruned, s.row_groups_total, s.row_groups_pruned, s.pages_total,
             s.pages_pruned);
    indent(out, depth);
    buf_putf(out,
             "rows read %" PRIu64 " (%" PRIu64 " in memory), returned %" PRIu64 ", bytes %" PRIu64
             "\n",
             s.rows_read, s.hot_rows, s.rows_returned, s.bytes_read);
}

static void put_select(const Eval *eval, const PlanNode *plan, int depth, Buf *out)
{
    const PlanSelect *select = &plan->u.select;
    buf_put_str(out, STR("select "));
    promql_print(plan->node, out);
    buf_put_u8(out, '\n');
    indent(out, depth + 1);
    buf_put_str(out, STR("labels"));
    if (select->all_labels) {
        buf_put_str(out, STR(" all"));
    }
    for (size_t i = 0; i < select->label_count; i++) {
        buf_putf(out, " " STR_FMT, STR_ARG(select->labels[i]));
    }
    buf_put_u8(out, '\n');
    for (size_t i = 0; i < eval->scan_count; i++) {
        const EvalScan *scan = &eval->scans[i];
        if (scan->pos.start == select->pos.start && scan->pos.end == select->pos.end) {
            put_scan(scan, depth + 1, out);
        }
    }
}

static void put(const Eval *eval, const PlanNode *plan, int depth, Buf *out)
{
    indent(out, depth);
    switch (plan->kind) {
    case PLAN_NUMBER:
    case PLAN_TEXT:
        promql_print(plan->node, out);
        buf_put_u8(out, '\n');
        break;
    case PLAN_SELECT:
        put_select(eval, plan, depth, out);
        break;
    case PLAN_SUBQUERY:
        buf_putf(out, "subquery of %" PRId64 " ms, every %" PRId64 " ms\n",
                 plan->u.subquery.range_ms, plan->u.subquery.step_ms);
        put(eval, plan->u.subquery.expr, depth + 1, out);
        break;
    case PLAN_CALL:
        buf_putf(out, "%s%s\n", plan->u.call.function->name,
                 eval_pipe_can(plan) ? " (series by series)" : "");
        for (size_t i = 0; i < plan->u.call.arg_count; i++) {
            put(eval, plan->u.call.args[i], depth + 1, out);
        }
        break;
    case PLAN_AGGREGATE:
        buf_putf(out, "%s %s", promql_aggregate_text(plan->u.aggregate.op),
                 plan->u.aggregate.without ? "without" : "by");
        for (size_t i = 0; i < plan->u.aggregate.grouping_count; i++) {
            buf_putf(out, " " STR_FMT, STR_ARG(plan->u.aggregate.grouping[i]));
        }
        buf_put_u8(out, '\n');
        if (plan->u.aggregate.param != NULL) {
            put(eval, plan->u.aggregate.param, depth + 1, out);
        }
        put(eval, plan->u.aggregate.expr, depth + 1, out);
        break;
    case PLAN_BINARY:
        buf_putf(out, "%s%s\n", promql_op_text(plan->u.binary.op),
                 eval_pipe_can(plan) ? " (series by series)" : "");
        put(eval, plan->u.binary.left, depth + 1, out);
        put(eval, plan->u.binary.right, depth + 1, out);
        break;
    case PLAN_NEGATE:
    case PLAN_INVARIANT:
        buf_put_str(out,
                    plan->kind == PLAN_NEGATE ? STR("negate\n") : STR("once, for all steps\n"));
        put(eval, plan->u.child, depth + 1, out);
        break;
    }
}

void engine_explain(const Eval *eval, const PlanNode *plan, const PromqlResult *result, Buf *out)
{
    const PromqlStats *s = &result->stats;
    put(eval, plan, 0, out);
    buf_putf(out, "series %" PRIu64 ", samples %" PRIu64 " (at most %" PRIu64 " at once)\n",
             s->series, s->total_samples, s->peak_samples);
    buf_putf(out, "parsed in %" PRId64 " us, waited %" PRId64 " us, evaluated in %" PRId64 " us\n",
             s->parse_ns / 1000, s->queue_ns / 1000, s->eval_ns / 1000);
}
