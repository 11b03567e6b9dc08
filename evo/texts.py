"""Prompts and operators of many individuals, kept as Arrow columns and made into objects one at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evo.journal import read_table
from evo.model import NO_PROMPT, Prompt


class Texts:
    """What some individuals say and what made them, looked up by their number.

    Takes the memory of their texts and 30 bytes each. Raises EvoError when a file is damaged.
    """

    def __init__(self, folder: Path, numbers: Sequence[int] | npt.NDArray[np.int64]) -> None:
        wanted = pa.array(numbers, pa.int64())
        born = read_table(folder, "individuals", ["id", "operator", "prompt"], only=("id", wanted)).sort_by("id")
        hashes = born["prompt"].combine_chunks()
        prompts = read_table(folder, "prompts", ["hash", "parts"], only=("hash", hashes))
        self._numbers = born["id"].to_numpy()
        self._operators = born["operator"]
        self._which = pc.index_in(hashes, value_set=prompts["hash"])
        self._parts = prompts["parts"]

    def prompt(self, number: int) -> Prompt:
        """Return an individual's prompt; one without parts where its birth failed. Raises KeyError for a stranger."""
        which = self._which[self._place(number)].as_py()
        if which is None:
            return NO_PROMPT
        return Prompt(tuple((name, text) for name, text in json.loads(self._parts[which].as_py())))

    def operator(self, number: int) -> str:
        """Return the operator that made an individual. Raises KeyError for a stranger."""
        return str(self._operators[self._place(number)].as_py())

    def _place(self, number: int) -> int:
        place = int(np.searchsorted(self._numbers, number))
        if place == len(self._numbers) or self._numbers[place] != number:
            raise KeyError(f"no individual {number} among the {len(self._numbers)} that were read")
        return place
