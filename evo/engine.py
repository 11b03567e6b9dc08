"""A run under way: the executor in a thread of its own, so that it works in a script, a shell and a notebook alike."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evo._guard import look_beside
from evo.bounds import unpriced
from evo.commission import Commission, check, commission, load_task
from evo.errors import ConfigError, EvoError
from evo.folder import RunFolder
from evo.inherited import with_credits
from evo.plugins import build_model, resolve
from evo.ports import Price, Task
from evo.profile import Stopwatch
from evo.records import records
from evo.remote import is_uri
from evo.settings import BudgetSettings, RunSettings
from evo.status import Snapshot
from evo.store import spent_of

DEFAULT_CALLS = 2000
"""The budget where the settings name none."""
CHANGEABLE = ("concurrency", "workers", "executor", "profile")
"""Settings that a resumed run may have others of, beside its budget: they do not say what is searched, or how."""


class Engine:
    """Runs one commission in the background.

    Args:
        order: What to run.
        address: A Ray cluster to join; None: this machine.
        watch: Called about four times a second, from the engine's thread.
    """

    def __init__(self, order: Commission, *, address: str | None = None, watch: Callable[[Snapshot], None]) -> None:
        self._order, self._address, self._watch = order, address, watch
        self._execute: Any = resolve("evo.executors", order.settings.executor)
        self._ready, self._ended = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="evo-engine", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Ask for a clean end: calls under way may finish, nothing new begins."""
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; return whether it has come."""
        # Not by joining the thread: until Python 3.13 an interrupt meanwhile makes a living thread count as ended.
        return self._ended.wait(timeout_s)

    def result(self) -> None:
        """Return when the run ended well. Raises what ended it otherwise."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_event_loop) as runner:
                runner.run(self._main())
        except OSError as error:
            self._error = EvoError(f"the run has ended: {error}; what it has logged is kept, evo resume goes on")
            self._error.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - handed to whoever calls `result`
            self._error = error
        finally:
            self._ready.set()
            self._ended.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        if not self._order.settings.profile:
            await self._execute(self._order, self._address, self._stop, self._watch)
            return
        stopwatch = Stopwatch()

        def watch(snapshot: Snapshot) -> None:
            stopwatch.look(snapshot)
            self._watch(snapshot)

        await self._execute(self._order, self._address, self._stop, watch)
        stopwatch.write(self._order.path)


def _event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's where it runs: a call is half a dozen turns of the loop."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


def prepare(settings: RunSettings, *, base: Path, title: str) -> Commission:
    """Load the task, check everything that costs no call, and make the run's folder. Raises ConfigError."""
    settings, task = checked(settings, base=base)
    check_prices(settings, task)
    folder = RunFolder.create(settings, base=base, title=title, fingerprint=task.fingerprint)
    settings = _keep_rows(settings, base, folder)
    return commission(folder.path, settings, base, task)


def checked(settings: RunSettings, *, base: Path) -> tuple[RunSettings, Task]:
    """Return the settings with a budget and rows that can be read twice, and their task. Raises ConfigError."""
    settings = _with_default_budget(settings)
    _refuse_endless(settings)
    look_beside(base)
    settings = with_credits(_with_lists(settings), base)
    task = load_task(settings, base)
    check(settings, task)
    return settings, task


def check_prices(settings: RunSettings, task: Task) -> None:
    """Refuse a cap in USD that cannot be kept, as a price is unknown, or that never ends the run, as all are free.

    Makes the models, and asks none. Raises ConfigError.
    """
    if settings.budget.usd is None:
        return
    asked = settings if task.judge_calls else settings.model_copy(update={"judge_model": None})
    paid = False
    for model in asked.models:
        if model.is_in_process:
            continue
        try:
            price: Price | None = build_model(model).price
        except ConfigError:  # what it lacks here, such as a key, a node may have: its workers tell
            paid = True
            continue
        if price is None:
            raise unpriced(model.name)
        paid |= price.cost(1, 1) > 0
    if not paid:
        _refuse_usd_alone(settings)


def reopen(
    path: Path | str, *, budget: BudgetSettings | None = None, changes: Mapping[str, Any] | None = None
) -> Commission:
    """Return an existing run, ready to go on, with another budget if one is given: every cap it is to have.

    ``changes`` are settings among `CHANGEABLE`.

    Raises:
        ConfigError: there is no such run, its data have changed since, or its budget cannot be kept or never ends it.
    """
    folder = RunFolder.open(path)
    settings, manifest = _at_hand(folder.settings, folder), folder.manifest
    base = Path(manifest["base"])
    base = base if base.is_dir() else Path.cwd()  # on another machine the user's modules lie where the command is given
    look_beside(base)
    task = load_task(settings, base)
    if task.fingerprint != manifest["fingerprint"]:
        raise ConfigError(
            f"the task of {folder.path} has changed since the run began (its rows, layout or scorer); "
            "put the old data back, or start a new run"
        )
    if budget is not None:
        settings = _with_default_budget(settings.model_copy(update={"budget": budget}))
        _refuse_endless(settings)
    _refuse_unknown_cost(settings, folder)
    check_prices(settings, task)
    settings = settings.model_copy(update=dict(changes or {}))
    if budget is not None or changes:
        folder.change(settings)
    check(settings, task)
    return commission(folder.path, settings, base, task)


def _with_lists(settings: RunSettings) -> RunSettings:
    """Return settings whose rows in memory are lists: they are read twice, and an iterator can be read once."""
    return _with_data(settings, {split: records(rows) for split, rows in _in_memory(settings).items()})


def _keep_rows(settings: RunSettings, base: Path, folder: RunFolder) -> RunSettings:
    """Put rows given in memory into the run's folder, so that it can be resumed; files too, for other machines."""
    files = {}
    for split, rows in _in_memory(settings).items():
        files[split] = str((folder.path / f"data-{split}.jsonl").resolve())
        lines = (json.dumps(row, default=str) for row in rows)
        Path(files[split]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    if is_uri(settings.storage):
        files.update(_copied_files(settings, base, folder))
    if not files:
        return settings
    kept = _with_data(settings, files)
    folder.change(kept)
    return kept


def _copied_files(settings: RunSettings, base: Path, folder: RunFolder) -> dict[str, str]:
    """Copy the files of rows into the run's folder; return their new paths by split. Rows with a name stay there."""
    copied = {}
    for split in ("train", "dev", "test", "all"):
        source = getattr(settings.task.data, split)
        if isinstance(source, str | Path) and (file := base / Path(source).expanduser()).is_file():
            copied[split] = str((folder.path / f"data-{split}{file.suffix}").resolve())
            shutil.copyfile(file, copied[split])
    return copied


def _at_hand(settings: RunSettings, folder: RunFolder) -> RunSettings:
    """Return settings whose rows are those in the run's folder, wherever that lies by now."""
    recorded = {split: getattr(settings.task.data, split) for split in ("train", "dev", "test", "all")}
    moved = {}
    for split, source in recorded.items():
        here = folder.path.resolve() / Path(source).name if isinstance(source, str | Path) else folder.path
        if here.name.startswith(f"data-{split}.") and here.is_file():
            moved[split] = str(here)
    return _with_data(settings, moved) if moved else settings


def _in_memory(settings: RunSettings) -> dict[str, Any]:
    sources = {split: getattr(settings.task.data, split) for split in ("train", "dev", "test", "all")}
    return {split: rows for split, rows in sources.items() if rows is not None and not isinstance(rows, str | Path)}


def _with_data(settings: RunSettings, sources: Mapping[str, Any]) -> RunSettings:
    data = settings.task.data.model_copy(update=sources)
    return settings.model_copy(update={"task": settings.task.model_copy(update={"data": data})})


def _refuse_endless(settings: RunSettings) -> None:
    if all(model.is_in_process for model in settings.models):
        _refuse_usd_alone(settings)


def _refuse_usd_alone(settings: RunSettings) -> None:
    caps = {name for name, value in settings.budget.model_dump().items() if value is not None}
    if caps == {"usd"}:
        raise ConfigError(
            "a cap in USD alone never ends a run whose models are free; add budget.calls or budget.seconds"
        )


def _refuse_unknown_cost(settings: RunSettings, folder: RunFolder) -> None:
    if settings.budget.usd is not None and spent_of(folder.path).usd is None:
        raise ConfigError(
            f"a cap in USD cannot be kept in {folder.path}: what its calls so far cost is unknown; resume it without "
            "one (--set budget.usd=null) and cap calls or tokens, or start a new run with model.price set"
        )


def _with_default_budget(settings: RunSettings) -> RunSettings:
    if any(value is not None for value in settings.budget.model_dump().values()):
        return settings
    return settings.model_copy(update={"budget": BudgetSettings(calls=DEFAULT_CALLS)})
