"""A finished run of two islands, written by hand, for the tests of its report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from records import born, write

from evo.budget import Usage
from evo.folder import RunFolder, write_json
from evo.model import FAILED, MIGRATION, NO_PROMPT, Completion, Evaluation, Individual, individual_number
from evo.receipts import Receipt
from evo.run import Run
from evo.schema import call_row, now_us
from evo.settings import RunSettings
from evo.verdict import finalists, verdict

COPY = individual_number(1, 1)
REPLY = "<prompt>Sort the text kindly.</prompt>"


def archipelago() -> list[Individual]:
    """Return four births on island 0, and a migrant with a child on island 1; the child is the best."""
    return [
        born(0, "Sort the text.", (1.0, 0.0, 0.0, 0.0)),
        born(1, "Name the mood.", (0.0, 0.0, 0.0, 0.0)),
        born(2, "Sort the text kindly.", (1.0, 1.0, 0.0, None), (0, "base"), (1, "mate")),
        replace(born(3, "", (), (2, "base")), prompt=NO_PROMPT, status=FAILED, note="no prompt in 3 tries"),
        born(individual_number(1, 0), "Guess.", (0.0, 0.0, 0.0, 1.0)),
        born(COPY, "Sort the text kindly.", (1.0, 1.0, 0.0, None), (2, "migrant_of"), operator=MIGRATION, generation=1),
        born(individual_number(1, 2), "Sort the text.\nBe kind.", (1.0, 1.0, 1.0, 0.0), (COPY, "base"), generation=2),
    ]


def reported(storage: Path, individuals: Iterable[Individual] | None = None, *, ended: bool = True) -> Run:
    """Write individuals as a run, with the call that made number 2, and its result where it has ``ended``."""
    settings = {"task": {"data": "x", "description": "Sort <b>texts</b>"}, "islands": 2, "storage": str(storage)}
    folder = RunFolder.create(RunSettings.model_validate(settings), base=Path("."), title="t", fingerprint="f")
    answer = Completion(REPLY, 20, 8, 0.1, 0.0)
    call = call_row(Receipt("k", "fake/toy", "operator", 2, 1.0, answer))
    way = {"from_island": 0, "to_island": 1, "individual": 2, "reason": "", "step": 1, "received_at": now_us()}
    moves = [{**way, "copy": COPY, "accepted": True}, {**way, "copy": None, "accepted": False}]
    write(folder.path, archipelago() if individuals is None else individuals, calls=[call], migrations=moves)
    if ended:
        spent = Usage(9, 100, 0.0)
        write_json(
            folder.path / "result.json",
            verdict(folder.path, finalists(folder.path), status="done", spent=spent, elapsed_s=1.0, seed=0),
        )
    return Run(folder.path)


def without_evidence(number: int) -> Individual:
    """Return a birth that has not been scored."""
    return replace(born(number), evaluation=Evaluation())
