"""What questions to a long run's lineage cost: a made-up log in parts as a run seals them, then one question a process.

    python benchmarks/lineage.py --births 10000 100000 1000000

Prints for each size and question CPU seconds, and the peak memory of a process that imports, opens the run and asks it
that one question. ``show``, ``report`` and ``watch`` are what those commands do; the answer is the size of what they
give, of a page in kB, and ``watch, again`` is one look at a run that stands still, in ms, the mean of a hundred. Every
file has been read once before. Eight islands, tournament parents among the last 50 of an island, 45 % mutation, 45 %
crossover, 10 % of four parents, a migrant every 500 births. A child has most of its base's words. ``--rows`` is how
many evaluations each birth has, with a call for each. ``--compact`` asks once more when the parts have been compacted.
``--stacked 40`` writes so many such logs one after another, the seeds of each born of the last of the one before: ten
million births from 250,000 in a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import evo
from evo.cli import main as main_of_evo
from evo.folder import RunFolder
from evo.journal import read_table
from evo.model import MIGRATION, Prompt, individual_number
from evo.parts import write_part
from evo.schema import TABLES, prompt_row
from evo.settings import RunSettings
from evo.view.live import LiveStory

ISLANDS, LIVING, EVERY, PART = 8, 50, 500, 5000
"""Islands; how far back parents are drawn; births between migrants; births in a part."""
WORDS = 45
QUESTIONS: dict[str, Callable[[evo.Run, int, int], object]] = {
    "open": lambda run, best, other: run.status,
    "ancestors": lambda run, best, other: len(run.lineage(best).ancestors),
    "descendants": lambda run, best, other: len(run.lineage(ISLANDS).descendants),
    "line": lambda run, best, other: len(run.lineage(best).line()),
    "common_ancestor": lambda run, best, other: run.lineage(best).common_ancestor(other),
    "simplified": lambda run, best, other: len(run.lineage(best).simplified()),
    "simplified, tree": lambda run, best, other: len(run.lineage(best).simplified(tree=True)),
    "origin": lambda run, best, other: sum(len(part.spans) for part in run.lineage(best).origin()),
    "show": lambda run, best, other: _said("show", run.path),
    "report": lambda run, best, other: run.report(run.path / "r.html").stat().st_size // 1000,
    "watch": lambda run, best, other: len(LiveStory(run).answer("")) // 1000,
    "watch, again": lambda run, best, other: _looks(run, 100),
    "best so far": lambda run, best, other: run.lineage().number,
}


def main() -> None:
    """Write, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--births", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--compact", action="store_true")
    parser.add_argument("--stacked", type=int, default=1)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=[*QUESTIONS])
    parser.add_argument("--ask", nargs=4, metavar=("RUN", "QUESTION", "BEST", "OTHER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        return _answer(*options.ask)
    for births in options.births:
        with tempfile.TemporaryDirectory() as storage:
            settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": storage})
            path = RunFolder.create(settings, base=Path(), title="made up", fingerprint="none").path
            numbers = write_run(path, births, np.random.default_rng(0), rows=options.rows)
            numbers = stack(path, births, numbers, options.stacked)
            _report(f"{births * options.stacked:,} births in parts of {PART:,}", path, numbers, options.questions)
            if options.compact:
                cpu = time.process_time()
                done = evo.open_run(path).compact()
                print(f"compact: {done.before} files -> {done.after}, {time.process_time() - cpu:.1f} s CPU")
                _report(f"{births:,} births, compacted", path, numbers, options.questions)
    return None


def _report(title: str, path: Path, numbers: tuple[int, int], questions: Iterable[str]) -> None:
    print(f"\n{title}\n{'question':<18}{'answer':>16}{'CPU s':>8}{'peak MB':>9}", flush=True)
    for question in questions:
        words = [sys.executable, __file__, "--ask", str(path), question, *map(str, numbers)]
        subprocess.run(words, check=True, capture_output=True)
        found = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
        print(f"{question:<18}{found['answer']!s:>16}{found['cpu']:>8.2f}{found['peak']:>9.0f}", flush=True)


def _answer(path: str, question: str, best: str, other: str) -> None:
    ask, open_run, cpu = QUESTIONS[question], evo.open_run, time.process_time()
    answer = ask(open_run(path), int(best), int(other))
    print(json.dumps({"answer": answer, "cpu": time.process_time() - cpu, "peak": _peak_mb()}))


def _peak_mb() -> float:
    # Not `getrusage`: its figure begins with what the process that started this one had.
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def _said(*words: object) -> int:
    """Return how many characters a command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        main_of_evo([str(word) for word in words])
    return len(out.getvalue())


def _looks(run: evo.Run, times: int) -> float:
    """Return the CPU milliseconds of one look at a run that stands still, after the first."""
    live = LiveStory(run)
    live.answer("")
    cpu = time.process_time()
    for _ in range(times):
        live.answer("")
    return round(1000 * (time.process_time() - cpu) / times, 2)


def write_run(path: Path, births: int, rng: np.random.Generator, *, rows: int = 0) -> tuple[int, int]:
    """Write a run of so many births; return the last born, and one of another island."""
    fitness, texts, last = np.zeros(births), np.empty((births, WORDS), np.int16), 0
    for start in range(0, births, PART):
        logged: dict[str, list[dict[str, Any]]] = {"individuals": [], "edges": [], "prompts": []}
        for place in range(start, min(births, start + PART)):
            parents = _parents(place, fitness, rng)
            _breed(place, parents, fitness, texts, rng)
            last = _log(logged, place, parents, fitness[place], texts[place])
        for name, some in logged.items():
            write_part(path / name / f"part-{start // PART:06d}.parquet", _table(name, some))
        if rows:
            _write_scores(path, start // PART, [row["id"] for row in logged["individuals"]], rows, rng)
    return last, individual_number(3, births // ISLANDS - 1)


def stack(path: Path, births: int, numbers: tuple[int, int], times: int) -> tuple[int, int]:
    """Write a run's births again and again, each time as descendants of the last; return the two numbers of the end."""
    born = read_table(path, "individuals").sort_by("id")
    edges, each = read_table(path, "edges"), births // ISLANDS
    seeds = born["id"].filter(pc.equal(born["operator"].cast(pa.string()), "seed")).to_numpy()
    for turn in range(1, times):
        shift = turn * each
        again = born.set_column(0, born.schema.field("id"), pc.add(born["id"], shift))
        sequence = again.column_names.index("sequence")
        again = again.set_column(sequence, born.schema.field("sequence"), pc.add(born["sequence"], shift))
        parents = np.full(len(seeds), numbers[0] + shift - each)
        ends = {"child": [*(edges["child"].to_numpy() + shift), *(seeds + shift)]}
        ends["parent"] = [*(edges["parent"].to_numpy() + shift), *parents]
        ends["role"] = [*edges["role"].to_pylist(), *["base"] * len(seeds)]
        ends["place"] = [*edges["place"].to_numpy(), *[0] * len(seeds)]
        links = pa.table(ends, schema=TABLES["edges"]).sort_by([("child", "ascending"), ("place", "ascending")])
        for name, rows in (("individuals", again), ("edges", links)):
            write_part(path / name / f"part-{turn * 1000:06d}.parquet", rows.cast(TABLES[name]))
    return numbers[0] + (times - 1) * each, numbers[1] + (times - 1) * each


def _write_scores(path: Path, part: int, numbers: list[int], rows: int, rng: np.random.Generator) -> None:
    """Write a part of evaluations, each with its call: of dev rows drawn from 50, right or wrong."""
    count = len(numbers) * rows
    born, at = np.repeat(np.array(numbers), rows), np.arange(part * PART * rows, part * PART * rows + count)
    keys = pa.array([f"{key:032x}" for key in at.tolist()])
    own = {"individual": born, "step": born, "example": np.tile(rng.permutation(50)[:rows], len(numbers))}
    own |= {"score": rng.integers(0, 2, count).astype(float), "call": keys, "tokens": np.full(count, 40)}
    fixed = {"split": "dev", "answer": "a", "reason": "", "parsed": True, "error": "", "cost_usd": 0.0, "reply": "a"}
    calls = {"key": keys, "individual": born, "started_at": at, "prompt_tokens": np.full(count, 40)}
    kind = {"model": "m", "purpose": "task", "latency_s": 0.0, "output_tokens": 1, "cost_usd": 0.0, "lost_tokens": 0}
    kind |= {"lost_usd": 0.0, "attempts": 1, "recalled": False, "error": "", "text": "a"}
    for name, columns, same in (("evaluations", own, fixed), ("calls", calls, kind)):
        found = [
            pa.array(columns[field.name]).cast(field.type)
            if field.name in columns
            else pa.array([same[field.name]] * count).cast(field.type)
            if field.name in same
            else pa.nulls(count, field.type)
            for field in TABLES[name]
        ]
        write_part(path / name / f"part-{part:06d}.parquet", pa.table(found, schema=TABLES[name]))


def _parents(place: int, fitness: np.ndarray, rng: np.random.Generator) -> list[tuple[int, str]]:
    """Return places and roles: the fitter of two among the last of the island, for each."""
    if place < 4 * ISLANDS:
        return []
    if place // ISLANDS % EVERY == 0:
        return [(place - 1, "migrant_of")]
    living = min(LIVING, place // ISLANDS)
    roles = (("base",), ("base", "mate"), ("base", "donor1", "donor2", "best"))[rng.choice(3, p=[0.45, 0.45, 0.1])]
    pairs = place - ISLANDS * rng.integers(1, living + 1, (len(roles), 2))
    return [(int(max(pair, key=fitness.__getitem__)), role) for pair, role in zip(pairs, roles, strict=True)]


def _breed(
    place: int, parents: list[tuple[int, str]], fitness: np.ndarray, texts: np.ndarray, rng: np.random.Generator
) -> None:
    if not parents:
        fitness[place], texts[place] = 0.5, rng.integers(0, 3000, WORDS)
        return
    fitness[place], texts[place] = fitness[parents[0][0]] + rng.normal(0, 0.001), texts[parents[0][0]]
    if len(parents) > 1:
        cut = int(rng.integers(WORDS))
        texts[place, cut:] = texts[parents[1][0], cut:]
    if parents[0][1] != "migrant_of":
        texts[place, rng.integers(WORDS)] = rng.integers(0, 3000)


def _log(
    rows: dict[str, list[dict[str, Any]]], place: int, parents: list[tuple[int, str]], fitness: float, text: np.ndarray
) -> int:
    number = _number(place)
    prompt = Prompt.of(" ".join(f"word{word}" for word in text))
    operator = "seed" if not parents else MIGRATION if parents[0][1] == "migrant_of" else f"op-{len(parents)}"
    about = {"island": place % ISLANDS, "sequence": place // ISLANDS, "generation": place // ISLANDS, "status": "ok"}
    about |= {
        "fitness": round(float(np.clip(fitness, 0, 1)), 2),
        "n_scored": 50,
        "n_missing": 0,
        "n_unparsed": 0,
        "note": "",
        "born_at": place,
    }
    rows["individuals"].append({"id": number, **about, "operator": operator, "prompt": prompt.hash})
    rows["prompts"].append(prompt_row(prompt))
    rows["edges"] += (
        {"child": number, "parent": _number(parent), "role": role, "place": at}
        for at, (parent, role) in enumerate(parents)
    )
    return number


def _number(place: int) -> int:
    return individual_number(place % ISLANDS, place // ISLANDS)


def _table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=TABLES[name])


if __name__ == "__main__":
    main()
