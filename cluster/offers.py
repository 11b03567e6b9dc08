"""What islands have put up for others to take, and who has taken what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from evo.model import Individual


class Offers:
    """The migrants each island has put up last. A newer offer takes the place of an older one, taken or not."""

    def __init__(self) -> None:
        self._offers: dict[int, tuple[int, tuple[Individual, ...]]] = {}
        self._given: dict[tuple[int, int], tuple[int, int]] = {}
        """Of which offer of a source an island has been given how many."""
        self._heard: Counter[int] = Counter()

    def put_up(self, island: int, migrants: Sequence[Individual]) -> None:
        """Offer an island's migrants to its neighbours."""
        number, _ = self._offers.get(island, (0, ()))
        self._offers[island] = number + 1, tuple(migrants)

    def take(self, island: int, sources: Sequence[int], count: int) -> list[Individual]:
        """Return ``count`` migrants an island has not been given yet; fewer when there are fewer.

        What a look for migrants brings hangs on ``count``, not on how many neighbours there are. Those come first who
        have been heard least by anybody: else all would listen to the few that are a little faster.
        """
        taken: list[Individual] = []
        for source in sorted(sources, key=lambda source: (self._heard[source], source < island, source)):
            if len(taken) == count:
                break
            taken += self._fresh(island, source, count - len(taken))
        return taken

    def _fresh(self, island: int, source: int, count: int) -> tuple[Individual, ...]:
        """Return what of a source's offer is new to an island, which has it from now on."""
        number, offer = self._offers.get(source, (0, ()))
        latest, given = self._given.get((island, source), (number, 0))
        given = given if latest == number else 0
        fresh = offer[given : given + count]
        if fresh:
            self._given[island, source] = number, given + len(fresh)
            self._heard[source] += len(fresh)
        return fresh
