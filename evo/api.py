"""The Python front door: `evolve`, `estimate`, `resume`, `open_run`, `watch`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evo.config import load, parse
from evo.engine import CHANGEABLE, Engine, prepare, reopen
from evo.errors import ConfigError, Interrupted
from evo.folder import RunFolder
from evo.forecast import Forecast, forecast
from evo.model import Budget
from evo.run import Run
from evo.settings import BudgetSettings, RunSettings
from evo.status import Snapshot

if TYPE_CHECKING:
    from evo.view.server import Watching


def evolve(
    task: str | Path | Mapping[str, Any] | RunSettings,
    *,
    budget: Budget | Mapping[str, Any] | None = None,
    address: str | None = None,
    watch: Any = None,
    **settings: Any,
) -> Run:
    """Evolve a prompt and return the finished run.

    Works in a script and inside a notebook's running event loop; an interrupt stops it cleanly, and `resume` goes on.

    Args:
        task: A YAML file, or the settings under its ``task:`` key, whose ``data`` may also be a list of dicts, a
            pyarrow table or a pandas frame.
        budget: Caps on the run.
        address: A Ray cluster to join.
        watch: Called with a `Snapshot` about four times a second, from another thread.
        **settings: Anything else the YAML file may hold: ``model``, ``prompts``, ``method``, ``islands`` and so on.

    Raises:
        ConfigError: the settings or the data cannot be used.
        EvoError: the run failed; what it has logged is kept.
    """
    run_settings, base, title = _read(task, budget, settings)
    order = prepare(run_settings, base=base, title=title)
    return _finish(Engine(order, address=address, watch=watch or _silent), order.path)


def estimate(
    task: str | Path | Mapping[str, Any] | RunSettings,
    *,
    budget: Budget | Mapping[str, Any] | None = None,
    offline: bool = False,
    **settings: Any,
) -> Forecast:
    """Return what `evolve` with the same arguments would take, by a rehearsal of seconds without models.

    Costs one dev row through every model under test and one call to every operator model; nothing with ``offline``,
    where tokens are guessed from bytes and the cost is unknown.

    Raises:
        ConfigError: the settings or the data cannot be used.
        EvoError: a model did not answer.
    """
    settings = {name: value for name, value in settings.items() if name not in ("address", "watch")}
    run_settings, base, _ = _read(task, budget, settings)
    return forecast(run_settings, base, offline=offline)


def resume(
    run: Run | str | Path,
    *,
    budget: Budget | Mapping[str, Any] | None = None,
    address: str | None = None,
    **changes: Any,
) -> Run:
    """Go on with an interrupted run, or with a finished one under a larger budget, and return it when it ends.

    Args:
        run: The run, its folder or URI, or a storage, which stands for its latest run.
        budget: Caps to change; the others stay. In a mapping, None takes a cap away.
        address: A Ray cluster to join.
        **changes: Another ``concurrency``, ``workers``, ``executor`` or ``profile`` than before.

    Raises:
        ConfigError: there is no such run, its data have changed, or the budget cannot be used.
        EvoError: another process is writing it, or it failed.
    """
    folder = RunFolder.to_write(run.path if isinstance(run, Run) else run)
    if wrong := sorted(set(changes) - {*CHANGEABLE}):
        raise ConfigError(f"a resumed run keeps its settings; only {', '.join(CHANGEABLE)} can change, got {wrong[0]}")
    parsed = parse({**folder.manifest["settings"], **changes})
    new = {name: getattr(parsed, name) for name in changes}
    caps = None if budget is None else _changed(folder, _caps(budget))
    order = reopen(folder.path, budget=caps, changes=new)
    return _finish(Engine(order, address=address, watch=_silent), order.path)


def open_run(path: str | Path) -> Run:
    """Return a run to look at: finished, interrupted, or going on. A storage folder stands for its latest run.

    Of an object store's URI it is the state of this moment. Raises ConfigError when there is none.
    """
    return Run(path)


def watch(run: Run | str | Path, *, port: int = 0) -> Watching:
    """Return a page that shows a run as it goes, served on this machine alone until its `close`; see its ``url``.

    Args:
        run: The run, its folder, or a storage folder, which stands for its latest run.
        port: Where to serve it; 0 for any port that is free.

    Raises:
        ConfigError: there is no such run, or the port is taken.
    """
    from evo.view.server import Watching

    return Watching(run if isinstance(run, Run) else Run(run), port=port)


def _read(
    task: str | Path | Mapping[str, Any] | RunSettings,
    budget: Budget | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> tuple[RunSettings, Path, str]:
    """Return settings, the folder their paths start from, and a title. Raises ConfigError."""
    if budget is not None:
        settings = {**settings, "budget": _caps(budget)}
    if isinstance(task, RunSettings):
        return parse({**task.model_dump(), **settings}, base=Path.cwd()), Path.cwd(), "run"
    if isinstance(task, Mapping):
        return parse({"task": dict(task), **settings}, base=Path.cwd()), Path.cwd(), "run"
    file = Path(task)
    return load(file, overrides=settings), file.parent, file.stem


def _finish(engine: Engine, path: Path) -> Run:
    engine.start()
    try:
        with _interrupts(engine.stop):
            while not engine.wait(0.2):
                pass
        engine.result()
    except (KeyboardInterrupt, Interrupted):
        engine.stop()
        engine.wait()
        raise Interrupted(f"stopped; everything so far is in {path}: evo.resume({str(path)!r}) goes on") from None
    return Run(path)


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first interrupt; raised as an exception it is lost where Python finalises an object.

    Later interrupts raise KeyboardInterrupt. In other threads, which get none, and under a handler of the caller's
    own, nothing changes.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def on_interrupt(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _changed(folder: RunFolder, caps: Mapping[str, Any]) -> BudgetSettings:
    """Return a run's recorded budget with some caps changed. Raises ConfigError."""
    recorded = folder.manifest["settings"]
    return parse({**recorded, "budget": {**recorded["budget"], **caps}}).budget


def _caps(budget: Budget | Mapping[str, Any]) -> dict[str, Any]:
    """Return the caps that are given; a `Budget` does not tell one that is left out from None."""
    if isinstance(budget, Mapping):
        return dict(budget)
    return {name: cap for name in Budget.__slots__ if (cap := getattr(budget, name)) is not None}


def _silent(_: Snapshot) -> None:
    """Show nothing."""
