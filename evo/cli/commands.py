"""What ``evo`` understands, and how errors become messages and exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import TypeAlias

from evo.cli.text import safe
from evo.errors import BudgetExhausted, ConfigError, EvoError, Interrupted

DONE, FAILED, USAGE, NOTHING_SCORED, STOPPED = 0, 1, 2, 3, 130
_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_EPILOG = """\
start here:
  evo run examples/messages.yaml          evolve a prompt on a small local model
  evo estimate examples/messages.yaml     what that takes, before it is spent
  evo best RUN                            the best prompt and its honest score
  evo lineage RUN                         where it came from
  evo report RUN                          all of it as one HTML page
  evo watch RUN                           the same page while the run goes on

exit codes: 0 done, 1 failed, 2 usage or configuration, 3 budget ended before any result, 130 interrupted (resumable)
"""
_SET = """change a setting, such as method.population=6: an argument of the method the file names, or of the default
one where it names none (model and task.scorer likewise)"""
_RUN = "the run's folder or URI, or the storage for its latest run"
_SET_BUDGET = "change a cap, such as budget.calls=500, or concurrency, workers, executor or profile"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:  # said by us: names of files may steer a screen
        parser.error(f"unrecognized arguments: {safe(' '.join(unknown))}")
    if options.command is None:
        parser.print_help()
        return USAGE
    try:
        return _action(options.action)(options) or DONE
    except BrokenPipeError:
        sys.stderr.close()
        return DONE
    except KeyboardInterrupt:
        return STOPPED
    except EvoError as error:
        print(f"evo: {safe(str(error))}", file=sys.stderr)
        return _code(error)


def _action(name: str) -> Callable[[argparse.Namespace], int | None]:
    """Return ``module:function`` of this package, loaded now: no command waits for what another one needs."""
    module, _, function = name.partition(":")
    action: Callable[[argparse.Namespace], int | None] = getattr(import_module(f"evo.cli.{module}"), function)
    return action


def _code(error: EvoError) -> int:
    if isinstance(error, ConfigError):
        return USAGE
    if isinstance(error, Interrupted):
        return STOPPED
    return NOTHING_SCORED if isinstance(error, BudgetExhausted) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evo",
        description="Evolve the best prompt for a task and a model, honestly measured, with its whole lineage.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"prompt-archipelago {version('prompt-archipelago')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _running(commands)
    _reading(commands)
    _watch(commands)
    _compare(commands)
    _compact(commands)
    _catalog(commands)
    return parser


def _add(commands: _Commands, name: str, action: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(action=action)
    return parser


def _running(commands: _Commands) -> None:
    run = _add(commands, "run", "running:run", "evolve a prompt as a YAML file says")
    run.add_argument("config", help="the YAML file")
    run.add_argument("--yes", action="store_true", help="do not ask before spending without a cap on calls or money")
    estimate = _add(commands, "estimate", "forecasting:estimate", "say what a run will take: calls, tokens, cost")
    estimate.add_argument("config", help="the YAML file")
    estimate.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=_SET)
    estimate.add_argument("--offline", action="store_true", help="ask no model; guess tokens from bytes")
    estimate.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    resume = _add(commands, "resume", "running:resume", "go on with an interrupted run, or with a larger budget")
    resume.add_argument("run", help=_RUN)
    for parser in (run, resume):
        parser.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help=_SET_BUDGET if parser is resume else _SET
        )
        say = "say at the end where the time went"
        parser.add_argument("--profile", dest="set", action="append_const", const="profile=true", help=say)
        parser.add_argument("--address", help="join a Ray cluster: auto, or HOST:PORT; without it, use this machine")
        parser.add_argument("--plain", action="store_true", help="print lines, not a live table")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON document")


def _reading(commands: _Commands) -> None:
    best = _add(commands, "best", "reading:best", "print the best prompt of a run")
    best.add_argument("-k", type=int, help="print the K best by dev score (default: 1)")
    best.add_argument("--front", action="store_true", help="print the prompts no other beats in quality and length")
    best.add_argument("--objectives", metavar="A,B", help="of that front: quality with tokens, cost or latency")
    show = _add(commands, "show", "reading:show", "show how a run stands: islands, operators, failures, cost")
    show.add_argument("--operators", action="store_true", help="what each operator's births gained and cost")
    show.add_argument("--examples", action="store_true", help="rows that no prompt solves, or that may be mislabelled")
    show.add_argument("--sql", metavar="QUERY", help="what a DuckDB query finds in the run's tables (extra `sql`)")
    show.add_argument("--profile", action="store_true", help="where the time went")
    show.add_argument("--events", action="store_true", help="what happened, in order, a line of JSON each")
    lineage = _add(commands, "lineage", "descent:lineage", "show where a prompt came from, word by word")
    output = lineage.add_mutually_exclusive_group()
    report = _add(commands, "report", "reading:report", "write all there is to see of a run into one HTML file")
    report.add_argument("-o", "--output", metavar="FILE", help="where to (default: report.html in the run's folder)")
    for parser, options in ((best, best), (show, show), (lineage, output), (report, report)):
        parser.add_argument("run", help=_RUN)
        options.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    lineage.add_argument(
        "individual", nargs="?", help="its number, or 2:17 for the 17th of island 2 (default: the best)"
    )
    lineage.add_argument("--all", action="store_true", help="every ancestor, not only the line of fittest parents")
    lineage.add_argument("--why", action="store_true", help="which step gained how much on which rows")
    lineage.add_argument("--origin", action="store_true", help="which ancestor and operator brought each phrase")
    output.add_argument("--dot", action="store_true", help="print all ancestors as a graph for Graphviz")
    output.add_argument("--mermaid", action="store_true", help="print all ancestors as a graph for Mermaid")
    lineage.add_argument(
        "--simplified", action="store_true", help="in such a graph, no extinct lines and no mere steps"
    )
    lineage.add_argument("--tree", action="store_true", help="the same along base parents alone: the smallest graph")


def _watch(commands: _Commands) -> None:
    watch = _add(commands, "watch", "watching:watch", "show a run in the browser as it goes, on this machine alone")
    watch.add_argument("run", help=_RUN)
    watch.add_argument("--port", type=int, default=0, help="where to serve it (default: any that is free)")
    watch.add_argument("--open", action="store_true", help="open the page in a browser")
    watch.add_argument("--json", action="store_true", help="print one JSON document, with the page's address, first")


def _compare(commands: _Commands) -> None:
    compare = _add(commands, "compare", "comparing:compare", "compare runs of one task: winners paired, cost, course")
    compare.add_argument("runs", nargs="+", metavar="RUN", help="the runs' folders, two or more")
    compare.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def _compact(commands: _Commands) -> None:
    compact = _add(
        commands, "compact", "running:compact", "make a run's many small files into few, which are read faster"
    )
    compact.add_argument("run", help=_RUN)
    compact.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def _catalog(commands: _Commands) -> None:
    methods = _add(commands, "methods", "catalog:methods", "list search methods and their arguments")
    racing = _add(commands, "racing", "catalog:racing", "list racing policies and their arguments")
    scorers = _add(commands, "scorers", "catalog:scorers", "list scorers and their arguments")
    models = _add(commands, "models", "catalog:models", "list local models, or fetch one")
    models.add_argument("pull", nargs="?", choices=["pull"], help="fetch a model")
    models.add_argument("name", nargs="?", help="such as smollm2-135m")
    for parser in (methods, racing, scorers, models):
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
