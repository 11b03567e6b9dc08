"""Axes for plots, looked for where matplotlib is installed (extra ``viz``), and labels that are nothing but text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evo.errors import EvoError
from evo.model import sequence_of
from evo.untrusted import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, RULE = "#1b1f23", "#5b636b", "#dfe1de"
BLUE, ORANGE = "#0072b2", "#d55e00"
AS_TEXT: dict[str, Any] = {"parse_math": False, "usetex": False}
"""How untrusted text is drawn: a ``$`` or a backslash in it means nothing."""


def axes_of(ax: Axes | None, *, width: float = 6.4, height: float = 4.0) -> Axes:
    """Return the axes, or new ones in a figure of this size in inches. Raises EvoError without matplotlib."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise EvoError(
            "plots need matplotlib, which is not installed; pip install 'prompt-archipelago[viz]', or use run.report()"
        ) from None
    if ax is None:
        _, ax = pyplot.subplots(figsize=(width, height), layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    return ax


def in_percent(axis: Any) -> None:
    """Write an axis of scores as percentages."""
    axis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")


def labelled(ax: Axes, labels: Sequence[str], *, first_on_top: bool = True) -> None:
    """Name rows 0, 1, 2, ... of a plot by untrusted labels."""
    ax.set_yticks(range(len(labels)))
    ax.set_yticklabels(labels, **AS_TEXT)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(*((len(labels) - 0.5, -0.5) if first_on_top else (-0.5, len(labels) - 0.5)))


def nothing(ax: Axes, words: str) -> Axes:
    """Return axes that only say why they are empty."""
    ax.text(0.5, 0.5, words, ha="center", va="center", color=SOFT, transform=ax.transAxes)
    ax.set_axis_off()
    return ax


def label_of(text: str, width: int = 36) -> str:
    """Return untrusted text as a label on one line."""
    return one_line(text, width)


def name_of(number: int) -> str:
    """Return an individual as island:sequence."""
    return f"{number >> 40}:{sequence_of(number)}"
