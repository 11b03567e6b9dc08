"""``evo run``, ``evo resume`` and ``evo compact``: those that write a run's folder."""

from __future__ import annotations

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from evo.cli.catalog import fetch_local_models
from evo.cli.display import display
from evo.cli.profile import print_profile
from evo.cli.reading import print_json
from evo.cli.report import print_report
from evo.cli.text import say, shell_word, shown_path
from evo.commission import Commission
from evo.config import load, parse
from evo.engine import CHANGEABLE, Engine, prepare, reopen
from evo.errors import BudgetExhausted, ConfigError, Interrupted
from evo.folder import RunFolder
from evo.forecast import unpaid_founding
from evo.run import Run
from evo.settings import RunSettings
from evo.verdict import ranking


def run(options: Namespace) -> int:
    """Evolve a prompt; return the exit code."""
    settings = load(options.config, options.set)
    _confirm(settings, options)
    file = Path(options.config)
    fetch_local_models(settings, Console(stderr=True))
    order = prepare(settings, base=file.parent, title=file.stem)
    return _sail(order, options, warn=True)


def resume(options: Namespace) -> int:
    """Go on with a run; return the exit code."""
    folder = RunFolder.to_write(options.run)
    named = [change.partition("=")[0] for change in options.set]
    wrong = [name for name in named if not name.startswith("budget.") and name not in CHANGEABLE]
    if wrong:
        can = ", ".join(["budget.*", *CHANGEABLE])
        raise ConfigError(f"a resumed run keeps its settings; only {can} can change, got {', '.join(wrong)}")
    settings = parse(folder.manifest["settings"], options.set)
    budget = settings.budget if any(name.startswith("budget.") for name in named) else None
    changes = {name: getattr(settings, name) for name in CHANGEABLE if name in named}
    fetch_local_models(folder.settings, Console(stderr=True))
    return _sail(reopen(folder.path, budget=budget, changes=changes), options)


def compact(options: Namespace) -> None:
    """Make a run's many small files into few."""
    done = Run(options.run).compact()
    if options.json:
        return print_json({"run": str(options.run), "before": done.before, "after": done.after})
    return print(f"{done.before} files of tables before, {done.after} now")


def _sail(order: Commission, options: Namespace, *, warn: bool = False) -> int:
    console = Console(stderr=options.json)
    for note in order.notes:
        say(console, f"note: {note}")
    say(console, f"run: {shown_path(order.path)}")
    with display(console, order.settings, plain=options.plain) as screen:
        engine = Engine(order, address=options.address, watch=screen.show)
        with _stopping(engine.stop, console):
            engine.start()
            try:
                if warn and (warning := unpaid_founding(order)):  # meanwhile, as executors take seconds to start
                    say(console, f"warning: {warning}")
            except BaseException:
                engine.stop()
                raise
            finally:
                while not engine.wait(0.1):
                    pass
    try:
        engine.result()
    except Interrupted:
        return _interrupted(order, console)
    except BudgetExhausted:
        raise
    finished = Run(order.path)
    if options.json:
        sys.stdout.write(_json(finished.result))
    else:
        print_report(finished, console)
        if order.settings.profile:
            print_profile(finished.profile, console)
    return 0


def _interrupted(order: Commission, console: Console) -> int:
    births = len(ranking(order.path))
    say(
        console,
        f"stopped; {births} scored prompts and every model call are kept in {shown_path(order.path)}",
        f"go on with: evo resume {shell_word(order.path)}",
    )
    return 130


@contextmanager
def _stopping(stop: Callable[[], None], console: Console) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a clean stop, and the second into an immediate end."""
    asked = False

    def on_signal(_number: int, _frame: Any) -> None:
        nonlocal asked
        if asked:
            os._exit(130)
        asked = True
        say(console, "stopping: calls under way may finish; again to end at once")
        stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _confirm(settings: RunSettings, options: Namespace) -> None:
    budget = settings.budget
    capped = budget.calls or budget.tokens or budget.usd or budget == type(budget)()
    free = all(model.is_in_process for model in settings.models)
    if capped or free or options.yes or not sys.stdin.isatty():
        return
    if input("no cap on calls, tokens or USD is set for a model that may cost money; go on? [y/N] ").lower() != "y":
        raise ConfigError("not started; set budget.usd or budget.calls, or pass --yes")


def _json(document: Any) -> str:
    import json

    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
