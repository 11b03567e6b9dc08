"""Every fault injected once into a real run, and what became of it.

    python benchmarks/faults.py                       all of them: about ten minutes on two cores
    python benchmarks/faults.py --only endpoint disk  those whose name holds a word
    python benchmarks/faults.py --kills 20            how often the driver is killed

Prints a table. A row is *lost* when a call or a birth that was in the log before the fault is not there in the end,
*doubled* when it is there twice; calls *paid again* were answered by the model more than once. Needs what the tests of
the real parts need, `moto[server]` among it; the faults themselves are in `tests/real`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

HOME = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HOME), str(HOME / "tests" / "real")]

from command import COMMAND, EXAMPLES, only_run, running, wait_for  # noqa: E402
from faulty import Endpoint, books, often, only_on  # noqa: E402
from test_killed_processes import kill  # noqa: E402
from test_killed_runs import CONCURRENCY, calls_logged, config  # noqa: E402
from test_object_store import has_copy, in_copy, serving  # noqa: E402
from test_ray import THREE_NODES  # noqa: E402

import evo  # noqa: E402
from evo.journal import open_journals, read_table  # noqa: E402


@dataclass(frozen=True)
class Outcome:
    """A row of the table; ``again`` is None where nobody counts what the model answered."""

    happened: str
    lost: int
    doubled: int
    again: int | None


def main() -> None:
    """Inject and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    os.environ["OPENAI_API_KEY"] = "none"
    print("| fault | what happened | rows lost | rows doubled | calls paid again |\n| --- | --- | --- | --- | --- |")
    for name, fault in faults(options.kills).items():
        if not options.only or any(word in name for word in options.only):
            with tempfile.TemporaryDirectory() as folder:
                found = fault(Path(folder))
            again = "not counted" if found.again is None else found.again
            print(f"| {name} | {found.happened} | {found.lost} | {found.doubled} | {again} |", flush=True)


def faults(kills: int) -> dict[str, Callable[[Path], Outcome]]:
    """Return every fault by name."""
    moments = sorted(np.random.default_rng(7).integers(20, 2300, size=kills).tolist())
    return {
        f"driver killed {kills} times, inline": lambda folder: killed(folder, "inline", moments),
        "driver killed, Ray": lambda folder: killed(folder, "ray", [700]),
        "island process killed": lambda folder: process_killed(folder, "ray::IslandHost", ends=False),
        "worker process killed": lambda folder: process_killed(folder, "ray::WorkerActor", ends=False),
        "log writer killed": lambda folder: process_killed(folder, "ray::BrokerActor", ends=True),
        "raylet of the only node killed": lambda folder: process_killed(folder, "raylet/raylet", ends=True),
        "one of three nodes killed": node_killed,
        "process of the local model killed": local_model_killed,
        "endpoint: 30 % 429, 2 % 500, 3 % malformed, 3 % cut short": lambda folder: endpoint(folder, often, "12"),
        "endpoint: one row always 500": lambda folder: endpoint(folder, "500", "1"),
        "endpoint: one row hangs": lambda folder: endpoint(folder, "hang", "1"),
        "endpoint: down for a minute": endpoint_down,
        "disk full": disk_full,
        "last part cut short, then put back": part_cut,
        "journal cut in a line": journal_cut,
        "clock jumps a day ahead": lambda folder: clock_jumps(folder, 86_400),
        "clock jumps a day back": lambda folder: clock_jumps(folder, -86_400),
        "second process opens the run": second_process,
        "machine lost, storage in S3": machine_lost,
    }


def command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `evo` to its end."""
    return subprocess.run([*COMMAND, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


def audited(folder: Path, happened: str, before: set[str], *, sent: Path | None = None) -> Outcome:
    """Return what became of the one run in a folder; ``before`` are the calls it had logged at the fault."""
    run = evo.open_run(only_run(folder / "runs"))
    found, keys = books(run), set(logged(folder))
    failures = (run.result or {}).get("failures", {})
    words = [happened, *(f"{failures[n]} {n.replace('_', ' ')}" for n in ("rows_missing", "resent") if failures.get(n))]
    words += [f"{found.zeroed} FAILURES SCORED"] * bool(found.zeroed) + ["ORPHANS"] * bool(found.orphans)
    counted = None if sent is None else sum(n - 1 for n in Counter(sent.read_text().split()).values())
    return Outcome(f"{', '.join(words)}; {run.status}", len(before - keys), found.doubled, counted)


def logged(folder: Path) -> list[str]:
    """Return the keys of all calls in the log."""
    keys: list[str] = read_table(only_run(folder / "runs"), "calls", ["key"])["key"].to_pylist()
    return keys


@contextmanager
def counting(folder: Path) -> Iterator[Path]:
    """Have a model beside the configuration count what it is sent."""
    with mock.patch.dict(os.environ, SENT=str(folder / "sent"), PYTHONPATH=str(folder)):
        yield folder / "sent"


def killed(folder: Path, executor: str, moments: list[int]) -> Outcome:
    """Kill the driver whenever so many calls are logged."""
    file, before = config(folder, executor), set[str]()
    with counting(folder) as sent:
        for number, moment in enumerate(moments):
            arguments = ["resume", only_run(folder / "runs")] if number else ["run", file]
            with running(*arguments, "--plain", cwd=folder) as process:
                wait_for(
                    lambda m=moment: calls_logged(folder / "runs") >= m or process.poll() is not None, timeout_s=240
                )
                before |= set(logged(folder))
                process.kill()
                process.wait()
            time.sleep(0.5)
        command("resume", only_run(folder / "runs"), "--plain", cwd=folder)
        most = len(moments) * CONCURRENCY
        return audited(folder, f"resumed each time (at most {most} were in flight)", before, sent=sent)


def process_killed(folder: Path, name: str, *, ends: bool) -> Outcome:
    """Kill one of Ray's processes."""
    with counting(folder) as sent, running("run", config(folder, "ray"), "--plain", cwd=folder) as process:
        wait_for(lambda: calls_logged(folder / "runs") >= 500, timeout_s=240)
        before = set(logged(folder))
        kill(name, process.pid)
        process.wait(timeout=240)
        happened = "replaced" if process.returncode == 0 else f"ended with code {process.returncode}, resumed"
        if ends:
            command("resume", only_run(folder / "runs"), "--plain", cwd=folder)
        return audited(folder, happened, before, sent=sent)


def node_killed(folder: Path) -> Outcome:
    """Kill a raylet of a cluster of three."""
    (folder / "three.py").write_text(THREE_NODES)
    arguments = [sys.executable, "three.py", str(EXAMPLES / "toy.yaml"), str(folder / "runs")]
    subprocess.run(arguments, cwd=folder, capture_output=True, check=False)
    return audited(folder, "went on with two", set())


def local_model_killed(folder: Path) -> Outcome:
    """Kill the worker in which the model computes."""
    changes = ["--set", "budget.calls=250", "--set", "budget.seconds=null", "--set", "cache=false"]
    with running("run", EXAMPLES / "messages.yaml", *changes, "--plain", cwd=folder) as process:
        wait_for(lambda: calls_logged(folder / "runs") >= 40, timeout_s=240)
        before = set(logged(folder))
        kill("ray::WorkerActor", process.pid)
        process.wait(timeout=400)
    lost = [error for error in evo.open_run(only_run(folder / "runs")).calls()["error"].to_pylist() if "lost" in error]
    return audited(folder, f"replaced, {len(lost)} calls in flight counted as paid", before)


def endpoint(folder: Path, fault: str | Callable[[str, int], str], attempts: str) -> Outcome:
    """Run against an endpoint that fails on everything now and then, or on one row always."""
    with Endpoint() as server:
        settings = server.settings(folder / "runs", model={"attempts": int(attempts), "timeout_s": 1.0})
        row = settings["task"]["data"]["dev"][3]["input"]
        server.script = only_on(row, fault) if isinstance(fault, str) else fault
        evo.evolve(**settings)
    return _paid(audited(folder, "went on", set()), server)


def endpoint_down(folder: Path) -> Outcome:
    """Take the endpoint away for a minute."""
    with Endpoint(latency_s=0.02) as server:
        threading.Timer(3.0, server.down).start()
        threading.Timer(63.0, server.up).start()
        evo.evolve(
            **server.settings(folder / "runs", method={"name": "evoprompt-ga", "population": 5, "generations": 9})
        )
    return _paid(audited(folder, "waited", set()), server)


def _paid(outcome: Outcome, server: Endpoint) -> Outcome:
    return Outcome(outcome.happened, outcome.lost, outcome.doubled, sum(n - 1 for n in server.answered.values()))


def disk_full(folder: Path) -> Outcome:
    """Let no file grow beyond 300 KiB."""
    with counting(folder) as sent:
        limited = f"ulimit -f 300; exec {sys.executable} -m evo run {config(folder, 'inline')} --plain"
        done = subprocess.run(["bash", "-c", limited], cwd=folder, capture_output=True, text=True, check=False)
        before = set(logged(folder))
        command("resume", only_run(folder / "runs"), "--plain", cwd=folder)
        return audited(folder, f"ended with code {done.returncode}, resumed", before, sent=sent)


@contextmanager
def interrupted(folder: Path) -> Iterator[tuple[Path, set[str], Path]]:
    """Have a run that was killed, with a part and a journal; go on with it afterwards."""
    with counting(folder) as sent:
        with running("run", config(folder, "inline"), "--plain", "--set", "concurrency=1", cwd=folder) as process:
            wait_for(lambda: list((folder / "runs").glob("*/calls/part-*.parquet")))
            process.kill()
            process.wait()
        yield only_run(folder / "runs"), set(logged(folder)), sent
        command("resume", only_run(folder / "runs"), "--plain", cwd=folder)


def part_cut(folder: Path) -> Outcome:
    """Cut the last part of the calls short."""
    with interrupted(folder) as (run, before, sent):
        part = max((run / "calls").glob("part-*"))
        whole = part.read_bytes()
        part.write_bytes(whole[:-100])
        code = command("resume", run, "--plain", cwd=folder).returncode
        part.write_bytes(whole)
    return audited(folder, f"refused by name with code {code}, then resumed", before, sent=sent)


def journal_cut(folder: Path) -> Outcome:
    """Leave half a line at the journal's end, as a power cut may."""
    with interrupted(folder) as (run, before, sent), open(open_journals(run)[-1], "ab") as file:
        file.write(b'{"calls": [{"key": "ab')
    return audited(folder, "the line that was no transaction is left out", before, sent=sent)


def clock_jumps(folder: Path, seconds: int) -> Outcome:
    """Set the wall clock another way while a run with a cap in seconds goes on, and resume it."""
    began, real, real_ns = time.monotonic(), time.time, time.time_ns
    jumped = mock.patch.multiple(time, time=lambda: real() + seconds, time_ns=lambda: real_ns() + seconds * 10**9)
    with Endpoint() as server:
        settings = server.settings(folder / "runs", budget={"calls": 5000, "seconds": 600})
        threading.Timer(2.0, jumped.start).start()
        run = evo.resume(evo.evolve(**settings), budget={"calls": 6000})
        jumped.stop()
    took = run.elapsed_s
    words = "is counted rightly" if took <= time.monotonic() - began else f"is counted as {took:.0f} s"
    return _paid(audited(folder, f"time used {words}", set()), server)


def second_process(folder: Path) -> Outcome:
    """Resume a run that is going on."""
    with counting(folder) as sent:
        with running("run", config(folder, "inline"), "--plain", "--set", "concurrency=1", cwd=folder) as process:
            wait_for(lambda: calls_logged(folder / "runs") >= 50)
            before = set(logged(folder))
            code = command("resume", only_run(folder / "runs"), "--plain", cwd=folder).returncode
            process.kill()
            process.wait()
        command("resume", only_run(folder / "runs"), "--plain", "--set", "concurrency=16", cwd=folder)
        return audited(folder, f"the second ended with code {code}", before, sent=sent)


def machine_lost(folder: Path) -> Outcome:
    """Kill the driver, delete its folder, and go on from the store."""
    here, there = folder / "here", folder / "there"
    here.mkdir()
    there.mkdir()
    cache = mock.patch.dict(os.environ, XDG_CACHE_HOME=str(folder / "cache"))
    with serving() as uri, counting(here) as sent, cache:
        slow = ["--set", f"storage={uri}", "--set", "concurrency=1", "--set", "budget.calls=1500"]
        with running("run", config(here, "inline"), *slow, "--plain", cwd=here) as process:
            wait_for(lambda: has_copy(uri) and in_copy(uri) > 200, every_s=0.5)
            time.sleep(5)
            process.kill()
            process.wait()
        before = set(logged(here))
        uploaded = set(evo.open_run(uri).calls()["key"].to_pylist())
        (here / "runs").rename(folder / "lost")
        command("resume", uri, "--plain", "--set", "concurrency=16", cwd=there)
        return audited(
            there, f"{len(before - uploaded)} calls of the last seconds paid again, resumed", before, sent=sent
        )


if __name__ == "__main__":
    main()
