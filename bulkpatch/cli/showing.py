"""A plan and a run, in lines for people."""

from __future__ import annotations

from collections.abc import Sequence

from bulkpatch.api.options import Plan
from bulkpatch.observe.words import count, duration


def plan_lines(plan: Plan) -> Sequence[str]:
    """What is about to happen: counts, fields, limits, then the first bodies."""
    job = plan.job
    same = plan.rows - plan.sends
    lines = [
        f"{job.name}: {count(plan.rows)} rows → {count(plan.sends)} PATCH requests to {job.api.base_url}",
        f"  key          {plan.key_class}",
        f"  left out     {count(plan.left_out)} by where, {count(same)} repeats of a row above",
        f"  limits       {job.limits.rate}, {job.limits.concurrency} in flight, {job.limits.attempts} attempts a row",
        f"  takes        at least {duration(plan.seconds)} at {job.limits.rate}; the {plan.bound_by} binds",
        f"  guard        {plan.guard_text}; a stop overshoots by at most {job.limits.concurrency}",
        f"  secrets      {count(plan.references)} references, shown as such, resolved just before use",
        "  sets",
    ]
    widest = max((len(path) for path in plan.fields), default=0)
    lines += [f"    {path:<{widest}}  in {count(number)} rows" for path, number in plan.fields.items()]
    lines.append("  first bodies")
    lines += [f"    row {op.row}  {op.destination_id}  {op.body.decode()[:300]}" for op in plan.sample]
    lines += [f"  warning: {warning}" for warning in plan.warnings]
    return lines
