"""Pictures as SVG without a script: a run's fitness island by island, a line of descent, an individual's rows.

They are for `<img src="data:...">`, which survives where a notebook strips scripts, styles and inline SVG; each brings
its own paper and follows a dark theme. Colours are Okabe and Ito's (2008), which colour-blind readers tell apart.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evo.model import island_of
from evo.untrusted import safe

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""One for each of the islands shown, the best first; more are grey."""
GREY = "#87909a"
WIDTH, HEIGHT = 460, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 104, 26, 34
_APART = 12
_STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#1b1f23}.paper{fill:#fcfcfa}.rule{stroke:#dfe1de}.soft{fill:#5b636b}"
    ".ring{stroke:#fcfcfa;stroke-width:1.5}path{fill:none;stroke-width:1.8}"
    "@media(prefers-color-scheme:dark){text{fill:#e6e8e6}.paper{fill:#14171a}.rule{stroke:#2d3338}.soft{fill:#a5adb3}"
    ".ring{stroke:#14171a}}"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where numbers are drawn: x from 0 to ``most``, y from ``low`` to ``high``."""

    most: float
    low: float
    high: float

    @classmethod
    def around(cls, most: float, values: Iterable[float]) -> Frame:
        """Return a frame that holds these fitness values, at least ten points high."""
        known = list(values) or [0.0, 1.0]
        middle, half = (min(known) + max(known)) / 2, max((max(known) - min(known)) * 0.56, 0.05)
        low = min(max(0.0, middle - half), 1 - 2 * min(half, 0.5))
        return cls(most or 1, low, min(1.0, low + 2 * half))

    def x(self, value: float) -> float:
        """Return how far right a number lies."""
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * value / self.most

    def y(self, value: float) -> float:
        """Return how far down a fitness lies."""
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (self.high - value) / (self.high - self.low)


def image(svg: str, words: str) -> str:
    """Return a picture as an HTML element, with words for those who do not see it."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img width="{WIDTH}" style="max-width:100%" alt="{escaped(words)}" src="data:image/svg+xml;base64,{data}">'


def escaped(text: str) -> str:
    """Return untrusted text for HTML or SVG, as text or in a quoted attribute."""
    return html.escape(safe(text))


def colour_of(course: Mapping[str, Any]) -> dict[int, str]:
    """Return a colour for each island of a course: the best have one of their own, the others are grey."""
    ranked = sorted(course["islands"], key=lambda one: -_last_best(one))
    return {one["island"]: COLOURS[at] if at < len(COLOURS) else GREY for at, one in enumerate(ranked)}


def course_picture(course: Mapping[str, Any]) -> str:
    """Return the best dev fitness of each island over its births, with a tick where a migrant came."""
    islands = sorted(course["islands"], key=_last_best)  # the best is drawn last, above the others
    colours = colour_of(course)
    most = max((one["births"] for one in islands), default=1)
    frame = Frame.around(most, (point[2] for one in islands for point in one["points"] if point[2] is not None))
    drawn = [_island(frame, one, colours[one["island"]]) for one in islands]
    ends = [(frame.y(_last_best(one)), one) for one in reversed(islands) if _last_best(one) >= 0]
    names = [
        f'<text x="{WIDTH - _RIGHT + 8}" y="{y + 4:.1f}" style="fill:{colours[one["island"]]}">'
        f"island {one['island']} · {_percent(_last_best(one))}</text>"
        for y, one in _spread(ends[: len(COLOURS)])
    ]
    return _svg(frame, "best dev fitness by island", "births of the island", f"{most:,}", [*drawn, *names])


def rows_picture(scores: Sequence[float | None]) -> str:
    """Return a bar for each row's score, in their order; misses are marked, and so is what has no score."""
    frame, kinds = Frame(max(len(scores), 1), 0.0, 1.0), {COLOURS[0]: "", COLOURS[1]: "", GREY: ""}
    for place, score in enumerate(scores, 1):
        colour = GREY if score is None else COLOURS[0] if score else COLOURS[1]
        kinds[colour] += f"M{frame.x(place):.1f} {frame.y(0):.1f}" + (f"V{frame.y(score):.1f}" if score else "v-14")
    bars = [f'<path stroke="{colour}" d="{way}"/>' for colour, way in kinds.items() if way]
    names = ((COLOURS[0], "right"), (COLOURS[1], "wrong"), (GREY, "no score"))
    legend = [
        f'<text x="{WIDTH - _RIGHT + 8}" y="{_TOP + 10 + 16 * at}" style="fill:{colour}">{name}</text>'
        for at, (colour, name) in enumerate(names)
        if kinds[colour]
    ]
    return _svg(frame, "score of each dev row", "dev rows", f"{len(scores):,}", [*bars, *legend])


def line_picture(steps: Sequence[Mapping[str, Any]], colours: Mapping[int, str]) -> str:
    """Return dev fitness along a line of descent, a dot for each birth in its island's colour."""
    known = [(at, step) for at, step in enumerate(steps) if step["fitness"] is not None]
    frame = Frame.around(max(len(steps) - 1, 1), (step["fitness"] for _, step in known))
    points = [(frame.x(at), frame.y(step["fitness"])) for at, step in known]
    way = f'<path stroke="{GREY}" d="{_path(points)}"/>' if points else ""
    dots = [
        f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colours.get(_island_of(step), GREY)}"/>'
        for (x, y), (_, step) in zip(points, known, strict=True)
    ]
    end = ""
    if points:
        (x, y), (_, last) = points[-1], known[-1]
        end = f'<text x="{x + 10:.1f}" y="{y + 4:.1f}">{_percent(last["fitness"])}</text>'
    return _svg(frame, "dev fitness along the line of descent", "step", str(max(len(steps) - 1, 1)), [way, *dots, end])


def _island(frame: Frame, one: Mapping[str, Any], colour: str) -> str:
    points = [(frame.x(point[0]), frame.y(point[2])) for point in one["points"] if point[2] is not None]
    if not points:
        return ""
    steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in points[1:])
    bottom = HEIGHT - _BOTTOM
    ticks = "".join(f"M{frame.x(arrival[0]):.1f} {bottom}v-6" for arrival in one["arrivals"])
    first = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    return f'<path stroke="{colour}" d="{first}{steps}{ticks}"/>'


def _svg(frame: Frame, title: str, below: str, most: str, drawn: Iterable[str]) -> str:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    rules = [
        f'<line class="rule" x1="{_LEFT}" x2="{right}" y1="{frame.y(value):.1f}" y2="{frame.y(value):.1f}"/>'
        f'<text class="soft" x="{_LEFT - 6}" y="{frame.y(value) + 4:.1f}" text-anchor="end">{100 * value:.0f} %</text>'
        for value in (frame.low, (frame.low + frame.high) / 2, frame.high)
    ]
    words = (
        f'<text x="{_LEFT}" y="14">{escaped(title)}</text>'
        f'<text class="soft" x="{_LEFT}" y="{bottom + 16}">0</text>'
        f'<text class="soft" x="{(_LEFT + right) / 2}" y="{bottom + 26}" text-anchor="middle">{escaped(below)}</text>'
        f'<text class="soft" x="{right}" y="{bottom + 16}" text-anchor="end">{escaped(most)}</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<style>{_STYLE}</style><rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="4"/>'
        f"{''.join(rules)}{words}{''.join(drawn)}</svg>"
    )


def _spread(ends: Sequence[tuple[float, Mapping[str, Any]]]) -> list[tuple[float, Mapping[str, Any]]]:
    """Return labels with their heights moved apart where they would lie on each other."""
    placed: list[tuple[float, Mapping[str, Any]]] = []
    for y, one in sorted(ends, key=lambda end: end[0]):
        placed.append((max(y, placed[-1][0] + _APART) if placed else y, one))
    return placed


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _last_best(one: Mapping[str, Any]) -> float:
    return max((point[2] for point in one["points"] if point[2] is not None), default=-1.0)


def _island_of(step: Mapping[str, Any]) -> int:
    return island_of(step["id"])


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
