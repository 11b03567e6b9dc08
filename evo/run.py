"""A run as one opens it: finished, interrupted or still going."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import pyarrow as pa

from evo.ancestry import Ancestry
from evo.best import Best, Estimate, Gain
from evo.betting import AnytimeDifference
from evo.budget import Usage
from evo.compaction import Compacted, compact
from evo.errors import EvoError
from evo.folder import RunFolder
from evo.front import DEFAULT, front
from evo.item_analysis import item_analysis
from evo.journal import read_table, stamp
from evo.lineage import Lineage, number_of
from evo.model import Individual
from evo.operator_ledger import operator_ledger
from evo.past_task import row_texts
from evo.profile import read_profile
from evo.replay import individuals_now, read_individuals
from evo.schema import TABLES
from evo.settings import RunSettings
from evo.spending import spending
from evo.sql import run_query
from evo.store import elapsed_of, spent_of
from evo.texts import Texts
from evo.verdict import ranking
from evo.words import PartDiff, diff


class Run:
    """A run's folder, read at each call as it stands: tables, individuals, lineage, result."""

    def __init__(self, path: Path | str) -> None:
        self._folder = RunFolder.open(path)
        self._indexed: tuple[Hashable, Ancestry] | None = None

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @property
    def settings(self) -> RunSettings:
        """The run's settings."""
        return self._folder.settings

    @property
    def result(self) -> dict[str, Any] | None:
        """The final figures as plain data; None before the end."""
        return self._folder.result

    @property
    def status(self) -> str:
        """``done``, ``budget`` (ended before the whole test split was scored) or ``unfinished``."""
        return str(self.result["status"]) if self.result else "unfinished"

    @property
    def spent(self) -> Usage:
        """Calls, tokens and US dollars so far."""
        return spent_of(self.path)

    @property
    def elapsed_s(self) -> float:
        """Seconds the run has taken, all attempts together."""
        return elapsed_of(self.path)[0]

    @property
    def profile(self) -> dict[str, Any]:
        """Where the time of its latest attempt went, see `evo.profile.profile_of`; more with ``profile: true``."""
        return read_profile(self.path)

    @property
    def best(self) -> Best:
        """The winner; before the end, the best so far. Raises EvoError when nothing has been scored."""
        result = self.result
        if result is None:
            return Best(self.top(1)[0])
        winner = self.individual(result["winner"]["individual"])
        test, gain, anytime = result["winner"]["test"], result["gain"], result.get("anytime")
        return Best(winner, test and Estimate(**test), gain and Gain(**gain), anytime and AnytimeDifference(**anytime))

    def top(self, k: int) -> list[Individual]:
        """Return the best individuals by dev fitness, one for each text. Raises EvoError when there is none."""
        if k < 1:
            raise EvoError(f"expected one individual or more, got {k}")
        numbers = ranking(self.path, k)
        if not numbers:
            raise EvoError(f"{self.path} has scored no prompt yet")
        found = {i.number: i for i in read_individuals(self.path, numbers=numbers)}
        return [found[number] for number in numbers]

    def individual(self, number: SupportsIndex) -> Individual:
        """Return one individual with its evidence. Raises EvoError when there is none of that number."""
        for individual in read_individuals(self.path, numbers=[number_of(number)]):
            return individual
        raise EvoError(f"no individual {number} in {self.path}; `evo best -k 20` and `individuals()` name some")

    def individuals(self) -> pa.Table:
        """Return every birth, failed ones included: id, island, operator, prompt hash, fitness, status, ...

        Fitness is what is known now; the files in ``individuals`` hold what was known at birth, and those in
        ``measurements`` what was learnt later.
        """
        return individuals_now(self.path)

    def measurements(self) -> pa.Table:
        """Return what was known of an individual after each time it was given more evidence."""
        return read_table(self.path, "measurements")

    def prompts(self) -> pa.Table:
        """Return prompt texts by hash, each once, whatever the number of births it had."""
        found = read_table(self.path, "prompts")
        places = found.select(["hash"]).append_column("place", pa.array(np.arange(len(found))))
        first = places.group_by("hash", use_threads=False).aggregate([("place", "min")])["place_min"]
        return found.take(first)

    def edges(self) -> pa.Table:
        """Return child, parent, role, place."""
        return read_table(self.path, "edges")

    def evaluations(self) -> pa.Table:
        """Return a row for each individual and example: score, answer, error, tokens, the call behind it."""
        return read_table(self.path, "evaluations")

    def calls(self) -> pa.Table:
        """Return every model call: purpose, tokens, cost, attempts, text."""
        return read_table(self.path, "calls")

    def migrations(self) -> pa.Table:
        """Return every migrant, accepted or not."""
        return read_table(self.path, "migrations")

    def events(self) -> pa.Table:
        """Return what happened, island by island, in order."""
        return read_table(self.path, "events")

    def operators(self) -> pa.Table:
        """Return what each operator's births came to and took; a row each, the highest mean gain first.

        Seed prompts and migrants are left out. What cannot be known is null, never 0.

        - operator: its name; ``tried``: its births; ``valid``: those that gave a usable prompt.
        - failed: births without a prompt, or with one of which no row could be scored; ``dropped``: by racing.
        - duplicates: births of a prompt, all its parts, that had been born in this run before.
        - unscored: valid births without a score so far, as a method may ask for them.
        - compared: births that share a scored dev or train row with their parent (role ``base``, else the first with a
          score); ``improved``: those above it, by the mean over all rows both have a score for by now.
        - gain, gain_low, gain_high: mean gain over the births compared, and its 95 % interval. A birth counts once,
          whatever the number of its rows. Too low where scores chose the parents, too high where the operator had read
          the parents' mistakes on the same rows: compare operators, and trust the final test.
        - calls, tokens, cost_usd: the operator's own model calls, every attempt; a failed one as it counts against the
          budget. null cost: a price is unknown.
        - task_calls: calls to score its children, the final test left out.
        - calls_per_improvement: both kinds of calls for each improved child; null where none improved.
        """
        return operator_ledger(self.path)

    def spending(self) -> dict[str, Usage]:
        """Return what was used by purpose: ``task``, ``operator``, ``judge``; every attempt counted.

        ``usd`` is None where what a call cost is unknown; recalled answers cost nothing.
        """
        return spending(self.path)

    def examples(self) -> pa.Table:
        """Return what is known of each dev and train row over all prompts; test rows are left out.

        - example, split: the row's number, and where it belongs.
        - input, target: the beginning of its texts; null where the data cannot be read any more or have changed.
        - tried, missing: prompts with a score for it, and those whose call failed.
        - mean, best: of its scores; below 0.5 for ``best``: no prompt solves it.
        - discrimination: correlation of its score with the prompts' fitness, in [-1, 1]; below 0, good prompts miss
          what bad ones solve. null for fewer than 5 prompts, or where nothing varies.
        - noise: mean standard deviation of its score from one repeat to the next; null where ``repeats`` is 1.
        - common_miss, agreed: the commonest answer (the reply where the scorer reads none) that scored below 0.5, in
          small letters, and what share of the better half of all prompts gave it.
        - suspect: 80 % of them, and 5 at least, gave it: the row's label may be wrong.
        """
        found = item_analysis(self.path)
        texts = row_texts(self._folder, found["example"].to_pylist())
        for place, name in enumerate(("input", "target")):
            column = pa.array([text[place] for text in texts], pa.string())
            found = found.add_column(2 + place, name, column)
        return found

    def front(self, objectives: Sequence[str] = DEFAULT) -> pa.Table:
        """Return the prompts that no other beats in all objectives at once, the best by dev score first.

        Objectives: quality, tokens (of the prompt, about), cost and latency (means over its dev rows with a score).
        Whoever has a score and was not dropped takes part; quality is the lower end of the dev score's interval, so
        that few rows count for little. The dev scores of all of them are optimistic: test the one you take. ``knee``
        marks the compromise: the one whose worst objective is best, each scaled to its range on the front. Of a front
        of two that is the better one. Raises ConfigError for other objectives, or where what a row cost is unknown.
        """
        return front(self.path, objectives)

    def lineage(self, individual: Individual | Best | SupportsIndex | None = None) -> Lineage:
        """Return an individual's lineage as the log has it now; the winner's, or that of the best so far, by default.

        Raises EvoError when the log does not hold the individual.
        """
        return Lineage(self.path, self.ancestry, self._best_number() if individual is None else number_of(individual))

    def diff(
        self, before: Individual | Best | SupportsIndex, after: Individual | Best | SupportsIndex
    ) -> tuple[PartDiff, ...]:
        """Return what changed from one individual's prompt to another's, word by word, part by part.

        Raises EvoError when the log does not hold one of them.
        """
        numbers = [number_of(one) for one in (before, after)]
        texts = Texts(self.path, [self.lineage(number).number for number in numbers])
        return diff(*map(texts.prompt, numbers))

    def sql(self, query: str) -> pa.Table:
        """Return what a DuckDB query finds in this run's tables; `evo.sql` says how it is kept to them.

        Raises EvoError when DuckDB is not installed, or does not understand the query.
        """
        return run_query(query, {name: getattr(self, name) for name in TABLES})

    def compact(self) -> Compacted:
        """Make the log's many small parts into few large ones, which are read faster (`evo.compaction`).

        Raises EvoError while another process writes the run.
        """
        return compact(self.path)

    def report(self, path: Path | str | None = None) -> Path:
        """Write all there is to see of the run into one HTML file, ``report.html`` in its folder by default.

        The page needs no network and nothing beside it; of a run that goes on it shows what is logged so far. Returns
        the file's path. Raises EvoError when it cannot be written.
        """
        from evo.view.page import write_report

        return write_report(self, self.path / "report.html" if path is None else Path(path))

    @property
    def ancestry(self) -> Ancestry:
        """The run's edges, indexed; made again only when births have been added."""
        now = stamp(self.path)
        if self._indexed is None or self._indexed[0] != now:
            self._indexed = now, Ancestry(self.path)
        return self._indexed[1]

    def _best_number(self) -> int:
        if (result := self.result) is not None:
            return int(result["winner"]["individual"])
        return self.top(1)[0].number

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Return what a notebook shows (`evo.view.notebook`)."""
        from evo.view.notebook import run_bundle

        return run_bundle(self)

    def __repr__(self) -> str:
        try:
            best = self.best
        except EvoError:
            return f"Run({str(self.path)!r}, {self.status}, nothing scored yet)"
        lines = [f"Run({str(self.path)!r}, {self.status})", f"  best     {best.prompt.text!r}"]
        lines.append(f"  dev      {best.dev:.3f} on {best.individual.evaluation.count} rows (optimistic)")
        if best.test:
            lines.append(
                f"  test     {best.test.mean:.3f} [{best.test.low:.3f}, {best.test.high:.3f}], {best.test.n} rows"
            )
        if best.gain:
            verdict = "" if best.gain.significant else ", no significant gain"
            lines.append(f"  gain     {best.gain.mean:+.3f} [{best.gain.low:+.3f}, {best.gain.high:+.3f}]{verdict}")
        return "\n".join([*lines, f"  calls    {self.spent.calls}"])
