"""Search methods side by side: the same task, models, budget of calls and seed prompts, several seeds each.

    python benchmarks/methods.py DATA --methods evoprompt-ga,evoprompt-de,protegi --seeds 3 --calls 500
    python benchmarks/methods.py DATA --http MODEL.gguf --methods evoprompt-ga --calls 900
    python benchmarks/methods.py DATA --operator-http MODEL.gguf --methods evoprompt-ga

DATA is a folder with train.jsonl, dev.jsonl and test.jsonl (``input``, ``target``), initial_prompts.txt and task.json
(``description``). With ``--http`` the model is served on loopback by llama.cpp's OpenAI-compatible server and called
through LiteLLM, its label read from its text; else it runs in process and labels are scored by their likelihood.
A method may carry arguments: ``evoprompt-ga population=6 generations=4``; methods are parted by commas, or by
semicolons where there is one, as in ``tide operators={"reflect":1,"edit":1};``, and so are the racing policies
each of them is run with: ``--racing "full,subset n=50,lazy"``.
With ``--after N`` the whole budget is the search's: the winner, and the best seed prompt by dev, are scored on N test
rows when it has ended, and what they got is kept in the storage. Prints a row for each run as it ends, wins and losses
alike. Runs in one storage share answers: a call that was answered before counts, and takes no time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import time
from dataclasses import asdict
from itertools import islice, product, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import evo
from evo.model import Prompt, digest
from evo.plugins import build_model
from evo.randomness import child_rng
from evo.settings import ModelSettings, TaskSettings
from evo.statistics import mean_interval, paired_difference
from fitness.evaluator import RowEvaluator
from fitness.tasks import load_task

Row = dict[str, Any]
HEADINGS = (
    *("method", "seed", "dev", "test (95 %)", "seed prompt", "gain (95 %)"),
    *("births", "failed", "operator", "calls", "tokens", "s", "cpu s"),
)
"""``failed`` of the births, ``operator`` of the calls; ``cpu s`` of this process: with the model only inline."""
LAYOUT = "{prompt}\n\nText: {input}\nLabel:"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--methods", default="evoprompt-ga,evoprompt-de")
    parser.add_argument("--racing", default="", help="policies, parted by commas; default: the method's own")
    parser.add_argument("--model", default="local/smollm2-135m")
    parser.add_argument("--operator-model", help="defaults to the model")
    parser.add_argument("--http", type=Path, metavar="GGUF", help="serve this file on loopback as the model")
    parser.add_argument("--operator-http", type=Path, metavar="GGUF", help="serve this as the operator model")
    parser.add_argument("--port", type=int, default=8089, help="of the served model")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--births", type=int, help="most births of a run: useless replies take hours")
    parser.add_argument("--dev", type=int, default=60, help="dev rows used")
    parser.add_argument("--test", type=int, default=200, help="test rows used")
    parser.add_argument("--after", type=int, metavar="N", help="score winners on N test rows, outside of the budget")
    parser.add_argument("--estimate", action="store_true", help="foresee the tokens first, for --out")
    parser.add_argument("--prompts", type=int, default=10, help="seed prompts used, from the first on")
    parser.add_argument("--executor", default="ray")
    parser.add_argument("--storage", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    server, model = _served(options.http, options.port) if options.http else (None, {"name": options.model})
    if options.operator_http:
        server, options.operator_model = _served(options.operator_http, options.port)
    print(_cells(*HEADINGS))
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for words, racing, seed in product(_parted(options.methods), _parted(options.racing), seeds):
        row = _run(options, words, racing, model, seed)
        print(_line(" ".join((words, racing)), seed, row), flush=True)
        if options.out:
            about = {"data": options.data.name, "method": words, "racing": racing, "seed": seed}
            with options.out.open("a") as file:
                file.write(json.dumps({**about, **row}) + "\n")
    del server  # until here: it lives as long as somebody holds it


def _parted(list_of: str) -> list[str]:
    return [one.strip() for one in list_of.split(";" if ";" in list_of else ",") if one.strip()] or [""]


def _named(words: str) -> dict[str, Any]:
    """Return what ``name key=value ...`` says."""
    name, *settings = words.split()
    return {"name": name, **{key: yaml.safe_load(value) for key, _, value in (one.partition("=") for one in settings)}}


def _run(options: argparse.Namespace, words: str, racing: str, model: dict[str, Any], seed: int) -> dict[str, Any]:
    task = json.loads((options.data / "task.json").read_text())
    splits = {"train": options.dev, "dev": options.dev, "test": options.after or options.test}
    rows = {split: drawn_rows(options.data / f"{split}.jsonl", count) for split, count in splits.items()}
    prompts = [line.strip() for line in (options.data / "initial_prompts.txt").read_text().splitlines() if line.strip()]
    sealed = rows.pop("test") if options.after else []
    asked = {"data": rows, "scorer": "choice", "layout": LAYOUT, "description": task["description"]}
    settings: dict[str, Any] = {
        "prompts": prompts[: options.prompts],
        "model": model,
        "operator_model": options.operator_model,
        "method": _named(words),
        "racing": _named(racing) if racing else None,
        "budget": {"calls": options.calls, "births": options.births},
        "concurrency": 4,
        "executor": options.executor,
        "storage": str(options.storage),
        "seed": seed,
    }
    foreseen = evo.estimate(asked, **settings).tokens if options.estimate else None
    started, cpu = time.perf_counter(), time.process_time()
    run = evo.evolve(asked, **settings)
    found = {
        **(run.result or {}),
        "foreseen_tokens": foreseen,
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu,
    }
    if sealed:
        found |= _tested(found, sealed, model, options.storage)
    births = run.individuals().column("status").to_pylist()
    purposes = run.calls().column("purpose").to_pylist()
    return {
        **found,
        "births": len(births),
        "failed": births.count("failed"),
        "operator_calls": purposes.count("operator"),
        "run": str(run.path),
    }


def _tested(result: dict[str, Any], rows: list[Row], model: dict[str, Any], storage: Path) -> dict[str, Any]:
    """Return a result whose winner and best seed prompt by dev are scored on rows that no search has seen."""
    sides = [
        dict(enumerate(scores_after(result[side]["parts"], model, rows, storage))) for side in ("winner", "baseline")
    ]
    winner, baseline = sides
    means = [
        asdict(mean_interval(scores.values())) | {"mean": np.mean(list(scores.values()))}
        for scores in (winner, baseline)
    ]
    same = result["winner"]["parts"] == result["baseline"]["parts"]
    gain = None if same else asdict(paired_difference(winner, baseline, child_rng(0, "after")))
    tested = {side: {**result[side], "test": mean} for side, mean in zip(("winner", "baseline"), means, strict=True)}
    return {**tested, "gain": gain}


def scores_after(parts: list[list[str]], model: dict[str, Any], rows: list[Row], storage: Path) -> list[float]:
    """Return a prompt's scores on rows that no search has seen, asked once for each prompt and kept in the storage."""
    key = digest(json.dumps({"parts": parts, "model": model, "rows": rows}, sort_keys=True))
    kept = storage / "tested.json"
    known: dict[str, list[float]] = json.loads(kept.read_text()) if kept.exists() else {}
    if key not in known:
        known[key] = asyncio.run(_scores(parts, model, rows))
        kept.write_text(json.dumps(known))
    return known[key]


async def _scores(parts: list[list[str]], model: dict[str, Any], rows: list[Row]) -> list[float]:
    settings = TaskSettings.model_validate({"data": {"dev": rows}, "scorer": "choice", "layout": LAYOUT})
    task, llm = load_task(settings, [], 0), build_model(ModelSettings(**model))
    prompt = Prompt(tuple((name, text) for name, text in parts))
    scores = (await RowEvaluator(task, llm).evaluate(prompt, task.examples("dev"))).scores
    await llm.aclose()
    return [scores[row] for row in sorted(scores)]


def drawn_rows(path: Path, count: int) -> list[Row]:
    """Return ``count`` rows, the same for everybody: drawn target by target in turn, as files may be sorted."""
    piles: dict[str, list[Row]] = {}
    with path.open() as lines:
        for line in lines:
            row = json.loads(line)
            piles.setdefault(row["target"], []).append(row)
    rng = np.random.default_rng(0)
    drawn = [[pile[i] for i in rng.permutation(len(pile))] for _, pile in sorted(piles.items())]
    in_turn = (row for rows in zip_longest(*drawn) for row in rows if row is not None)
    return list(islice(in_turn, count))


def _served(gguf: Path, port: int) -> tuple[Any, dict[str, Any]]:
    """Serve a model file on a loopback port; return the server and how to call it."""
    import xllamacpp

    key = secrets.token_hex(16)
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.verbosity = -1
    params.n_ctx, params.n_parallel = 8192, 4
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.port, params.hostnames, params.api_keys = port, ["127.0.0.1"], [key]
    server = xllamacpp.Server(params)
    os.environ["OPENAI_API_KEY"] = key
    return server, {"name": f"openai/{gguf.stem}", "api_base": f"{server.listening_address}/v1", "max_tokens": 8}


def _line(words: str, seed: int, row: dict[str, Any]) -> str:
    winner, base, gain, spent = row["winner"], row["baseline"]["test"], row["gain"], row["spent"]
    test = winner["test"]
    return (
        _cells(
            words[:24],
            str(seed),
            f"{winner['dev']['mean']:.3f}",
            f"{test['mean']:.3f} [{test['low']:.3f}, {test['high']:.3f}]" if test else "none",
            f"{base['mean']:.3f}" if base else "none",
            f"{gain['mean']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]" if gain else "unknown",
            str(row["births"]),
            str(row["failed"]),
            str(row["operator_calls"]),
            str(spent["calls"]),
            str(spent["tokens"]),
            f"{row['wall_s']:.0f}",
            f"{row['cpu_s']:.0f}",
        )
        + f"  {winner['text'][:120]!r}"
    )


def _cells(*cells: str) -> str:
    widths = (-24, 4, 5, 22, 11, 24, 6, 6, 8, 5, 7, 5, 5)
    return "  ".join(c.ljust(-w) if w < 0 else c.rjust(w) for c, w in zip(cells, widths, strict=True))


if __name__ == "__main__":
    main()
