"""``evo best``, ``evo show`` and ``evo report``: they change nothing of a run."""

from __future__ import annotations

import json
from argparse import Namespace
from math import isfinite
from typing import Any

from rich.console import Console

from evo.cli.examples import print_examples
from evo.cli.many import folded
from evo.cli.operators import print_operators
from evo.cli.report import print_report, prompt_lines
from evo.cli.tables import arrow_table, table, wide_console
from evo.cli.text import duration, money, one_line, percent
from evo.errors import ConfigError
from evo.model import Individual
from evo.run import Run


def best(options: Namespace) -> None:
    """Print the best prompt, or the k best."""
    run = Run(options.run)
    if options.k < 1:
        raise ConfigError(f"-k expects 1 or more, got {options.k}")
    top = run.top(options.k)
    if options.json:
        return print_json(
            {"run": str(run.path), "status": run.status, "result": run.result, "top": list(map(plain, top))}
        )
    if options.k == 1 and run.result is not None:
        return print_report(run, Console())
    for place, one in enumerate(top, 1):
        print(f"{place}. dev {percent(one.fitness)} on {one.evaluation.count} rows, individual {one.number}")
        print("\n".join(f"   {line}" for line in prompt_lines(one.prompt.parts)))
    print("\ndev scores are optimistic: the search chose by them" + ("" if run.result else "; the run has not ended"))
    return None


def show(options: Namespace) -> None:
    """Print how a run stands, what its operators' births came to, or what a query finds."""
    run = Run(options.run)
    if options.operators:
        return _operators(run, as_json=options.json)
    if options.examples:
        return _examples(run, as_json=options.json)
    if options.sql is not None:
        return _query(run, options.sql, as_json=options.json)
    about = _about(run)
    if options.json:
        return print_json(about)
    console = wide_console()
    spent = about["spent"]
    words = (
        f"{spent['calls']:,} calls, {spent['tokens']:,} tokens, {money(spent['usd'])}, {duration(about['elapsed_s'])}"
    )
    console.print(f"{run.path}: {about['status']}, {words}", markup=False, highlight=False, soft_wrap=True)
    console.print(table("islands", folded(about["islands"])))
    console.print(table("operators", about["operators"]))
    for failure in about["failures"]:
        console.print(f"failed {failure['count']}x: {one_line(failure['note'], 150)}", markup=False, highlight=False)
    return None


def report(options: Namespace) -> None:
    """Write the report of a run; print its path."""
    path = Run(options.run).report(options.output)
    return print_json({"report": str(path)}) if options.json else print(path)


def _operators(run: Run, *, as_json: bool) -> None:
    rows = run.operators().to_pylist()
    if as_json:
        return print_json({"run": str(run.path), "status": run.status, "operators": rows})
    return print_operators(run, rows)


def _examples(run: Run, *, as_json: bool) -> None:
    rows = run.examples().to_pylist()
    if as_json:
        return print_json({"run": str(run.path), "status": run.status, "examples": rows})
    return print_examples(run, rows)


def _query(run: Run, query: str, *, as_json: bool) -> None:
    found = run.sql(query)
    if not as_json:
        return wide_console().print(arrow_table(found))
    rows = [
        {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in r.items()} for r in found.to_pylist()
    ]
    return print_json({"run": str(run.path), "rows": rows})


def _about(run: Run) -> dict[str, Any]:
    rows = run.individuals().to_pylist()
    notes: dict[str, int] = {}
    for row in rows:
        if row["status"] == "failed":
            notes[row["note"]] = notes.get(row["note"], 0) + 1
    spent = run.spent
    return {
        "run": str(run.path),
        "status": run.status,
        "spent": {"calls": spent.calls, "tokens": spent.tokens, "usd": spent.usd},
        "elapsed_s": run.elapsed_s,
        "islands": _grouped(rows, "island"),
        "operators": _grouped(rows, "operator"),
        "failures": [{"note": n, "count": c} for n, c in sorted(notes.items(), key=lambda kv: -kv[1])[:10]],
        "result": run.result,
    }


def _grouped(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return [_summary(key, name, members) for name, members in sorted(groups.items())]


def _summary(key: str, name: Any, members: list[dict[str, Any]]) -> dict[str, Any]:
    scored = sorted(row["fitness"] for row in members if row["status"] == "ok" and row["fitness"] is not None)
    return {
        key: name,
        "born": len(members),
        "failed": sum(row["status"] == "failed" for row in members),
        "dropped": sum(row["status"] == "dropped" for row in members),
        "best": scored[-1] if scored else None,
        "median": scored[len(scored) // 2] if scored else None,
        "missing_rows": sum(row["n_missing"] for row in members),
        "unparsed_rows": sum(row["n_unparsed"] for row in members),
    }


def plain(one: Individual) -> dict[str, Any]:
    """Return an individual as JSON has it."""
    return {
        "individual": one.number,
        "text": one.prompt.text,
        "parts": [list(part) for part in one.prompt.parts],
        "operator": one.operator,
        "parents": [{"individual": parent, "role": role} for parent, role in one.parents],
        "generation": one.generation,
        "island": one.island,
        "status": one.status,
        "note": one.note,
        "dev": one.fitness if one.ok else None,
        "dev_rows": one.evaluation.count,
    }


def print_json(document: object) -> None:
    """Print one JSON document, whose every sign a terminal can bear."""
    print(json.dumps(document, indent=2, ensure_ascii=True, default=str))
