"""Where migrants change hands: whoever is there now, or in lockstep those of one and the same number of births."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from cluster.offers import Offers
from evo.errors import EvoError
from evo.model import Individual

Migrants = Sequence[Individual]


class Market:
    """Offers of a run's islands. Lives in one event loop."""

    def __init__(self) -> None:
        self._offers = Offers()
        self._dated: dict[tuple[int, int], tuple[Individual, ...]] = {}
        self._gone: set[int] = set()
        self._closed: EvoError | None = None
        self._news = asyncio.Event()

    def trade(self, island: int, offer: Migrants, sources: Sequence[int], count: int) -> Migrants:
        """Put up an island's migrants, and return at most ``count`` its neighbours have put up and it was not given."""
        if offer:
            self._offers.put_up(island, offer)
        return self._offers.take(island, sources, count)

    def put(self, island: int, offers: Mapping[int, Sequence[Individual]], *, last: bool = False) -> None:
        """Put up an island's migrants by how many births it had been told of; ``last``: there will be no more."""
        self._dated.update({(island, told): tuple(offer) for told, offer in offers.items()})
        self._gone.update([island] * last)
        self._news.set()

    async def meet(self, told: int, sources: Sequence[int]) -> Sequence[Individual]:
        """Return what neighbours put up after ``told`` births, as soon as all have, or have ended before.

        The one that is furthest behind waits for nobody, so that somebody always goes on. Raises what it was closed by.
        """
        while any((source, told) not in self._dated and source not in self._gone for source in sources):
            self._refuse()
            self._news.clear()
            await self._news.wait()
        self._refuse()  # who is gone may have been stopped, and go on later
        return [one for source in sources for one in self._dated.get((source, told), ())]

    def close(self, error: EvoError) -> None:
        """Let nobody wait any more."""
        self._closed = self._closed or error
        self._news.set()

    def _refuse(self) -> None:
        if self._closed is not None:
            raise self._closed.with_traceback(None)
