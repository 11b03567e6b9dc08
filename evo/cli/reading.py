"""``evo best``, ``evo show`` and ``evo report``: they change nothing of a run."""

from __future__ import annotations

import json
from argparse import Namespace
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from evo.cli.examples import print_examples
from evo.cli.front import print_front
from evo.cli.many import folded
from evo.cli.operators import print_operators
from evo.cli.profile import print_profile
from evo.cli.report import print_report, prompt_lines
from evo.cli.tables import arrow_table, table, wide_console
from evo.cli.text import duration, money, one_line, percent, say, shown_path
from evo.errors import ConfigError
from evo.folder import RunFolder
from evo.front import DEFAULT
from evo.model import DROPPED, FAILED, OK, Individual
from evo.past_task import past_task
from evo.replay import individuals_now
from evo.run import Run

_SHOWN = ["id", "island", "operator", "status", "note", "fitness", "n_missing", "n_unparsed"]


def best(options: Namespace) -> None:
    """Print the best prompt, or the k best."""
    run, k = Run(options.run), 1 if options.k is None else options.k
    if k < 1:
        raise ConfigError(f"-k expects 1 or more, got {k}")
    if options.front or options.objectives:
        return _front(run, options)
    top = run.top(k)
    if options.json:
        return print_json(
            {"run": str(run.path), "status": run.status, "result": run.result, "top": list(map(plain, top))}
        )
    if k == 1 and run.result is not None:
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
    if options.profile:
        return print_json({"run": str(run.path), **run.profile}) if options.json else _profile(run)
    if options.events:
        return _events(run, as_json=options.json)
    about = _about(run)
    if options.json:
        return print_json(about)
    console = wide_console()
    spent = about["spent"]
    words = (
        f"{spent['calls']:,} calls, {spent['tokens']:,} tokens, {money(spent['usd'])}, {duration(about['elapsed_s'])}"
    )
    say(console, f"{shown_path(run.path)}: {about['status']}, {words}")
    console.print(table("islands", folded(about["islands"])))
    console.print(table("operators", about["operators"]))
    for failure in about["failures"]:
        say(console, f"failed {failure['count']}x: {one_line(failure['note'], 150)}")
    return None


def report(options: Namespace) -> None:
    """Write the report of a run; print its path."""
    path = Run(options.run).report(options.output)
    return print_json({"report": str(path)}) if options.json else print(shown_path(path))


def _front(run: Run, options: Namespace) -> None:
    if options.k is not None:
        raise ConfigError(f"expected -k or a front, got -k {options.k} with one: a front is shown whole; leave out -k")
    objectives = [name.strip() for name in options.objectives.split(",")] if options.objectives else DEFAULT
    rows = run.front(objectives).to_pylist()
    if not rows:
        run.top(1)  # the error of a run without scores
    if options.json:
        return print_json({"run": str(run.path), "status": run.status, "objectives": list(objectives), "front": rows})
    return print_front(run, rows)


def _operators(run: Run, *, as_json: bool) -> None:
    rows = run.operators().to_pylist()
    if as_json:
        return print_json({"run": str(run.path), "status": run.status, "operators": rows})
    return print_operators(run, rows)


def _examples(run: Run, *, as_json: bool) -> None:
    rows = run.examples().to_pylist()
    known = all(row["input"] is not None for row in rows)
    note = "" if known else past_task(RunFolder.open(run.path))[1]
    if as_json:
        return print_json({"run": str(run.path), "status": run.status, "note": note, "examples": rows})
    return print_examples(run, rows, note)


def _profile(run: Run) -> None:
    console = wide_console()
    say(console, f"{shown_path(run.path)}: {run.status}")
    print_profile(run.profile, console)


def _events(run: Run, *, as_json: bool) -> None:
    """Print what happened, in order: a line of JSON each, or all of it in one document."""
    rows = ({**row, "at": row["at"].isoformat()} for row in run.events().to_pylist())
    if as_json:
        return print_json({"run": str(run.path), "status": run.status, "events": list(rows)})
    for row in rows:
        print(json.dumps(row, ensure_ascii=True))
    return None


def _query(run: Run, query: str, *, as_json: bool) -> None:
    found = run.sql(query)
    if not as_json:
        return wide_console().print(arrow_table(found))
    rows = [
        {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in r.items()} for r in found.to_pylist()
    ]
    return print_json({"run": str(run.path), "rows": rows})


def _about(run: Run) -> dict[str, Any]:
    rows = individuals_now(run.path, _SHOWN)
    for place, name in enumerate(rows.column_names):
        if pa.types.is_dictionary(rows[name].type):
            rows = rows.set_column(place, name, rows[name].cast(pa.string()))
    notes = rows.filter(pc.equal(rows["status"], FAILED))["note"].value_counts().to_pylist()
    failures = sorted(notes, key=lambda note: -note["counts"])[:10]
    spent = run.spent
    return {
        "run": str(run.path),
        "status": run.status,
        "spent": {"calls": spent.calls, "tokens": spent.tokens, "usd": spent.usd},
        "elapsed_s": run.elapsed_s,
        "islands": _grouped(rows, "island"),
        "operators": _grouped(rows, "operator"),
        "failures": [{"note": note["values"], "count": note["counts"]} for note in failures],
        "result": run.result,
    }


def _grouped(rows: pa.Table, key: str) -> list[dict[str, Any]]:
    names = sorted(pc.unique(rows[key]).to_pylist())
    return [_summary(key, name, rows.filter(pc.equal(rows[key], name))) for name in names]


def _summary(key: str, name: Any, members: pa.Table) -> dict[str, Any]:
    ok = pc.and_(pc.equal(members["status"], OK), pc.is_valid(members["fitness"]))
    scored = np.sort(members["fitness"].filter(ok).to_numpy())
    return {
        key: name,
        "born": members.num_rows,
        **{status: pc.sum(pc.equal(members["status"], status)).as_py() or 0 for status in (FAILED, DROPPED)},
        "best": float(scored[-1]) if len(scored) else None,
        "median": float(scored[len(scored) // 2]) if len(scored) else None,
        "missing_rows": pc.sum(members["n_missing"]).as_py() or 0,
        "unparsed_rows": pc.sum(members["n_unparsed"]).as_py() or 0,
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
