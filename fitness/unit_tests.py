"""Replies that are Python code, scored by running the row's tests (as HumanEval, Chen et al. 2021, and MBPP do).

The code runs in a process that is shut in; `fitness.sandbox` says what that protects from, and what it does not.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal, get_args

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.plugins import unknown
from fitness.reasons import quoted, unparsed
from fitness.references import references
from fitness.sandbox import Isolation, Limits, Report, run_tests

Measure = Literal["share", "all"]
BLOCK = re.compile(
    r"^(?P<indent>[ \t]*)```[ \t]*(?P<language>[\w+-]*)[^\n]*\n(?P<code>.*?)(?:^(?:(?P=indent))?```|\Z)",
    re.DOTALL | re.MULTILINE,
)
PYTHON = ("", "py", "python", "python3")
AT_ONCE = 2
"""Processes a worker has running at most: there is a worker for each core."""


@dataclass(frozen=True, slots=True)
class Code:
    """The share of a row's tests that the reply's Python code passes, as ``{name: code, cpu_s: 2}``.

    The code is the reply's first fenced block of Python, or the whole reply. Tests are Python too, such as ``assert
    add(1, 2) == 3``: the target, or each text of it where it is a JSON list; each sees the code's names.

    Args:
        measure: ``share`` of the tests passed, or ``all``: 1 where all are, else 0.
        tests: The column that holds the tests instead of the target.
        cpu_s: CPU seconds of the code and all its tests together, and of any process it starts.
        wall_s: Seconds of the whole.
        memory_mb: Address space of a process.
        disk_mb: What it may write.
        processes: Processes and threads it may have beside its own.
        isolation: ``full`` needs Linux with user namespaces; ``limits`` is for code you would run yourself.
    """

    measure: Measure = "share"
    tests: str = ""
    cpu_s: int = 5
    wall_s: float = 20.0
    memory_mb: int = 512
    disk_mb: int = 16
    processes: int = 8
    isolation: Isolation = "full"
    wants_choices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, value, allowed in (("measure", self.measure, Measure), ("isolation", self.isolation, Isolation)):
            if value not in get_args(allowed):
                raise ConfigError(f"scorer code: {unknown(name, str(value), set(get_args(allowed)))}")
        for name, least in (("cpu_s", 1), ("memory_mb", 64), ("disk_mb", 1), ("processes", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"scorer code: expected {name} as a whole number of at least {least}, got {value!r}")
        if not isinstance(self.wall_s, int | float) or not 0 < self.wall_s < 86_400:
            raise ConfigError(f"scorer code: expected wall_s in seconds, above 0, got {self.wall_s!r}; try 20")

    async def __call__(self, completion: Completion, example: Example) -> Score:
        """Return the score; an empty reply is unparsed. Raises ValueError without tests, OSError without a sandbox."""
        if flaw := self.flaw(example.inputs, example.target):
            raise ValueError(flaw)
        code = code_in(completion.text)
        if not code.strip():
            return unparsed("no code", completion.text, example)
        tests = references(self._tests(example.inputs, example.target))
        loop = asyncio.get_running_loop()
        report = await loop.run_in_executor(_places(), run_tests, code, tests, self.limits)
        passed = sum(not error for error in report.errors)
        value = passed / len(tests) if self.measure == "share" else float(passed == len(tests))
        return Score(
            value,
            reason="" if passed == len(tests) else f"{passed} of {len(tests)} tests passed; " + _first(report, tests),
        )

    @property
    def limits(self) -> Limits:
        """What a process may use."""
        return Limits(self.cpu_s, self.wall_s, self.memory_mb, self.disk_mb, self.processes, isolation=self.isolation)

    def flaw(self, inputs: Mapping[str, str], target: str) -> str:
        """Return why a row has no tests that could pass; empty where it has."""
        text = self._tests(inputs, target)
        if not text.strip():
            return f"no tests in column {self.tests!r}"
        for test in references(text):
            try:
                ast.parse(test)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                return f"the test {test[:40]!r} is no Python: {error}"
        return ""

    def _tests(self, inputs: Mapping[str, str], target: str) -> str:
        return inputs.get(self.tests, "") if self.tests else target


def code_in(reply: str) -> str:
    """Return the first fenced block of Python in a reply, cut short or not; without one the whole reply.

    A block that is indented, as in an item of a list, is moved to the left as far as its fence.
    """
    for block in BLOCK.finditer(reply.replace("\r\n", "\n")):
        if block["language"].lower() in PYTHON:
            return re.sub(rf"^[ \t]{{0,{len(block['indent'])}}}", "", block["code"], flags=re.MULTILINE)
    return reply


def _first(report: Report, tests: tuple[str, ...]) -> str:
    """Return, in words, what went wrong first."""
    if report.broken:
        return f"the code failed before them: {report.broken}"
    number = next((place for place, error in enumerate(report.errors) if error), len(report.errors))
    if number < len(report.errors):
        return f"test {number + 1}, {quoted(tests[number])}, failed: {report.errors[number]}"
    return f"test {number + 1}, {quoted(tests[number])}, did not end: {report.ended}"


@lru_cache
def _places() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="evo-code")
