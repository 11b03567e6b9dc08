"""All that a report tells of a run, as one plain document; `evo.view.page` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from evo.ancestry import Places
from evo.folder import RunFolder
from evo.model import Individual
from evo.secrets import secret_in
from evo.verdict import SEED, finalists, ranking
from evo.view.course import course, failures, quality
from evo.view.graph import NODES, TEXTS, chosen, graph
from evo.view.kinship import descent, migration, phylogeny
from evo.view.rows import heat
from evo.view.shorten import shortened
from evo.view.snapshot import Snapshot

if TYPE_CHECKING:
    from evo.run import Run

HIDDEN = "(left out: it looks like a secret)"


def story(run: Run, *, nodes: int = NODES, texts: int = TEXTS, focus: int | None = None) -> dict[str, Any]:
    """Return what there is to tell of a run, also of one that goes on: text, numbers, lists and mappings alone.

    ``nodes`` is how many individuals are shown one by one, ``texts`` how many characters their prompts take; the
    calls that made them take half as many. With ``focus`` it is that individual's descent and graph instead of the
    best one's. Reads the log once for each part; takes seconds for tens of thousands of births. Raises EvoError when
    a file is damaged.
    """
    result = run.result
    snapshot = snapshot_of(run, result)
    empty = not len(snapshot.numbers)
    seen = snapshot if focus is None else Snapshot.of(run.path, run.settings, run.ancestry, focus)
    shown: Places = chosen(seen, nodes)
    return {
        **_opening(run, snapshot, result, seen),
        "graph": graph(seen, shown, texts),
        "operators": run.operators().to_pylist(),
        "quality": quality(snapshot),
        "migration": None if empty else migration(snapshot),
        "phylogeny": phylogeny(snapshot),
        "heat": heat(snapshot),
        "failures": failures(snapshot),
    }


def opening(run: Run) -> dict[str, Any]:
    """Return how a story begins: head, result, course and descent. Raises EvoError when a file is damaged."""
    result = run.result
    snapshot = snapshot_of(run, result)
    return _opening(run, snapshot, result, snapshot)


def snapshot_of(run: Run, result: Mapping[str, Any] | None) -> Snapshot:
    """Return a run as it stands, with the winner by its ``result``, or the best so far where it has none."""
    if result is not None:
        best: int | None = int(result["winner"]["individual"])
    else:  # looked for first: whoever it is, the births read after it hold them
        best = next(iter(ranking(run.path, 1)), None)
    return Snapshot.of(run.path, run.settings, run.ancestry, best)


def verdict_of(run: Run, result: Mapping[str, Any] | None, best: int | None) -> dict[str, Any] | None:
    """Return winner, baseline and gain as the run found them, or as they stand; None while nothing is scored."""
    if result is not None:
        sides = {name: _finalist(result[name]) for name in ("winner", "baseline")}
        looks = result.get("looks", 1)
        found = {"gain": result["gain"], "anytime": result.get("anytime"), "crossed": result.get("crossed")}
        return {**sides, **found, "looks": looks, "ended": True, "seed": SEED}
    if best is None:
        return None
    now = finalists(run.path)
    sides = {name: _so_far(one) for name, one in (("winner", run.individual(best)), ("baseline", now.baseline))}
    return {**sides, "gain": None, "anytime": None, "crossed": None, "looks": 1, "ended": False, "seed": SEED}


def _opening(run: Run, snapshot: Snapshot, result: Mapping[str, Any] | None, seen: Snapshot) -> dict[str, Any]:
    told = {"head": _head(run, snapshot), "result": verdict_of(run, result, snapshot.best)}
    return {**told, "course": course(snapshot), "descent": descent(seen)}


def _head(run: Run, snapshot: Snapshot) -> dict[str, Any]:
    manifest, settings, spent = RunFolder(run.path).manifest, run.settings, run.spent
    islands = settings.archipelago
    status = snapshot.births["status"].cast(pa.string())
    return {
        "run": run.path.resolve().name,
        "description": settings.task.description,
        "status": run.status,
        "created_at": manifest["created_at"],
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "methods": sorted({one.method.name for one in islands if one.method}),
        "models": _models(settings.archipelago),
        "islands": len(islands),
        "births": len(snapshot.numbers),
        "failed": pc.sum(pc.equal(status, "failed")).as_py() or 0,
        "dropped": pc.sum(pc.equal(status, "dropped")).as_py() or 0,
        "calls": spent.calls,
        "tokens": spent.tokens,
        "usd": spent.usd,
        "elapsed_s": run.elapsed_s,
        "seed": settings.seed,
        "versions": manifest["versions"],
        "settings": _without_secrets(manifest["settings"]),
    }


def _models(islands: Any) -> dict[str, list[str]]:
    roles = {"task": "model", "operators": "operator_model", "embeddings": "embedding_model"}
    found = {role: {getattr(one, name).name for one in islands if getattr(one, name)} for role, name in roles.items()}
    return {role: sorted(names) for role, names in found.items() if names}


def _without_secrets(settings: Any, name: str = "") -> Any:
    """Return settings without what looks like a secret: most are refused when a run begins, but files can be edited."""
    if isinstance(settings, Mapping):
        return {key: _without_secrets(value, key) for key, value in settings.items()}
    if isinstance(settings, list):
        return [_without_secrets(value, name) for value in settings]
    if isinstance(settings, str):
        return HIDDEN if secret_in({name: settings}) else shortened(settings)
    return settings


def _finalist(found: Mapping[str, Any]) -> dict[str, Any]:
    names = ("individual", "operator", "island", "generation", "dev", "test")
    parts = [[name, shortened(text)] for name, text in found["parts"]]
    return {**{name: found[name] for name in names}, "parts": parts}


def _so_far(one: Individual) -> dict[str, Any]:
    about = {"individual": one.number, "operator": one.operator, "island": one.island, "generation": one.generation}
    parts = [[name, shortened(text)] for name, text in one.prompt.parts]
    return {**about, "dev": {"mean": one.fitness, "n": one.evaluation.count}, "test": None, "parts": parts}
