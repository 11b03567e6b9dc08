"""Cores a run would use if the cluster had them, said in a way that Ray's autoscaler hears."""

from __future__ import annotations

from typing import Any


class Demand:
    """A placement group that nobody uses: as long as it waits for cores, an autoscaler brings nodes.

    A worker that waited itself could not be told from one that is lost. Ray must be initialised.
    """

    def __init__(self) -> None:
        self._cores = 0
        self._group: Any = None

    def ask(self, cores: int) -> None:
        """Ask for so many cores more than there are, in place of what was asked before; 0 for none."""
        import ray

        if cores == self._cores:
            return
        if self._group is not None:
            ray.util.remove_placement_group(self._group)
        self._group = ray.util.placement_group([{"CPU": 1.0}] * cores) if cores else None
        self._cores = cores
