"""A routing decision told to people."""

from __future__ import annotations

from typing import Any


def decision_lines(decision: dict[str, Any]) -> list[str]:
    """The decision, then the terms of its score with their sum."""
    lines = [f"  {decision['reason']}"]
    if decision["target"]:
        lines.append(f"  tier {decision['tier']}, {decision['target']}")
    marks = [name for name in ("sticky", "explored") if decision[name]]
    lines += [f"  {', '.join(marks)}"] if marks else []
    for verdict in decision["verdicts"]:
        lines.append(
            f"  {verdict['target']} {'was passed on' if verdict['passed'] else 'was not good enough'}"
        )
        lines += [f"    {seen}" for seen in verdict["seen"]]
    if decision["trimmed"]:
        lines.append(f"  {decision['trimmed']:,} tokens of older turns were left behind")
    if decision["gain"] is None:
        return lines
    width = max(len(term["name"]) for term in decision["terms"])
    lines += [f"    {term['name'].ljust(width)}  {100 * term['value']:+6.1f}" for term in decision["terms"]]
    lines.append(
        f"    {'points that a premium model is better by'.ljust(width)}  {100 * decision['gain']:+6.1f}"
    )
    lines.append(
        f"  a premium model answers well with {decision['premium_quality']:.0%}; the dial stands at"
        f" {decision['quality']:g}"
    )
    return lines
