"""Plots of a run by matplotlib (extra ``viz``), one function a view, for papers and talks.

Each takes a run, and axes to draw on where they shall be part of a larger figure, and returns the axes:

    from evo.view import plots

    plots.fitness(run).figure.savefig("fitness.pdf")
    figure, (left, right) = pyplot.subplots(1, 2, layout="constrained")
    plots.operators(run, left)
    plots.migration(run, right)

What is drawn is what `evo.view.story` tells. Dev scores chose the prompts and are optimistic; test scores are not. All
intervals stand at 95 %. Prompts and names of operators are drawn as they are, never as mathematics. Each function
raises EvoError when matplotlib is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from evo.errors import EvoError
from evo.model import island_of
from evo.view.axes import (
    AS_TEXT,
    BLUE,
    INK,
    ORANGE,
    RULE,
    SOFT,
    axes_of,
    in_percent,
    label_of,
    labelled,
    name_of,
    nothing,
)
from evo.view.course import course, quality
from evo.view.kinship import descent, phylogeny
from evo.view.kinship import migration as migration_of
from evo.view.rows import heat
from evo.view.snapshot import Snapshot
from evo.view.story import snapshot_of, verdict_of
from evo.view.svg import GREY, colour_of
from evo.words import ADDED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from evo.run import Run

STEPS = 16
"""Most births of a line of descent in a plot, the last ones."""
NAMED = 6
"""Most prompts of a Pareto front that are named."""
UNSCORED = "no prompt has been scored yet"


def fitness(run: Run, ax: Axes | None = None, *, over: Literal["births", "calls"] = "births") -> Axes:
    """Plot best (line) and recent median (dots) dev fitness of each island; a triangle where a migrant came.

    ``over`` the births of each island, or the model calls of the whole run.
    """
    ax = axes_of(ax)
    told = course(_snapshot(run))
    if not any(point[2] is not None for one in told["islands"] for point in one["points"]):
        return nothing(ax, UNSCORED)
    if over not in ("births", "calls"):
        raise EvoError(f"expected over births or calls, got {over!r}")
    column, colours = int(over == "calls"), colour_of(told)
    for one in sorted(told["islands"], key=lambda one: colours[one["island"]] != GREY):
        known = np.array([[point[column], *point[2:]] for point in one["points"]], dtype=float)
        colour, name = colours[one["island"]], f"island {one['island']}"
        ax.step(known[:, 0], known[:, 1], where="post", color=colour, label=name if colour != GREY else None)
        ax.plot(known[:, 0], known[:, 2], color=colour, linestyle=":", linewidth=1)
        came = [arrival[column] for arrival in one["arrivals"]]
        ax.plot(came, np.full(len(came), 0.015), "^", color=colour, markersize=4, transform=ax.get_xaxis_transform())
    ax.plot([], [], color=SOFT, linestyle=":", linewidth=1, label=f"median of the last {told['median_of']}")
    ax.plot([], [], "^", color=SOFT, markersize=4, label="a migrant came")
    in_percent(ax.yaxis)
    ax.grid(axis="y", color=RULE)
    ax.set(xlabel="births of the island" if over == "births" else "model calls of the run", ylabel="dev fitness")
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def genealogy(run: Run, ax: Axes | None = None) -> Axes:
    """Plot the fittest of the living (filled) and their ancestors: order of birth against dev fitness, by island.

    A line leads to the parent each is a variant of, dotted where births are left out that only passed on.
    """
    ax, snapshot = axes_of(ax), _snapshot(run)
    told = phylogeny(snapshot)
    if told is None:
        return nothing(ax, UNSCORED)
    colours = colour_of(course(snapshot))
    worst = min((fitness for _, _, fitness, _ in told["nodes"] if fitness is not None), default=0.0)
    places = [(step, worst if fitness is None else fitness) for _, step, fitness, _ in told["nodes"]]
    for child, parent, steps in told["links"]:
        ends = np.array([places[parent], places[child]])
        ax.plot(ends[:, 0], ends[:, 1], color=GREY, linewidth=0.7, linestyle="-" if steps == 1 else ":", zorder=1)
    for (number, _, _, alive), (x, y) in zip(told["nodes"], places, strict=True):
        colour = colours.get(island_of(number), GREY)
        ax.scatter([x], [y], 26, facecolors=colour if alive else "none", edgecolors=colour, zorder=2)
    for island, colour in colours.items():
        if colour != GREY:
            ax.scatter([], [], 26, color=colour, label=f"island {island}")
    in_percent(ax.yaxis)
    ax.grid(axis="y", color=RULE)
    ax.set(xlabel="births of the whole run", ylabel="dev fitness")
    ax.set_title(f"The {told['shown']} fittest of {told['living']} living, and who they come from")
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def line_of_descent(run: Run, ax: Axes | None = None) -> Axes:
    """Plot what each birth on the winner's line gained over its parent, with what it added to the prompt.

    The search chose this line by these scores: its gains are optimistic.
    """
    told = descent(_snapshot(run))
    steps = told["steps"][-STEPS:]
    ax = axes_of(ax, width=8.0, height=1.4 + 0.34 * max(len(steps), 3))
    if not steps:
        return nothing(ax, UNSCORED)
    for place, step in enumerate(steps):
        if step["gain"] is not None:
            _interval(ax, place, step["gain"], "mean", "low", "high")
    ax.axvline(0, color=SOFT, linewidth=1)
    labelled(ax, [f"{name_of(step['id'])}  {label_of(step['operator'], 22)}" for step in steps])
    for place, step in enumerate(steps):
        ax.text(1.02, place, _said(step), transform=ax.get_yaxis_transform(), va="center", fontsize="small", **AS_TEXT)
    left = told["total"] - len(steps)
    ax.set(xlabel="gain over the parent in points, 95 % interval (optimistic)")
    ax.set_title(f"The last {len(steps)} of {told['total']} births of the winner's line" if left else "")
    return ax


def operators(run: Run, ax: Axes | None = None) -> Axes:
    """Plot each operator's mean gain over the parent with its interval, and what its births took in calls."""
    rows = run.operators().to_pylist()
    ax = axes_of(ax, height=1.2 + 0.5 * max(len(rows), 2))
    if not rows:
        return nothing(ax, "no operator's birth has ended yet")
    for place, row in enumerate(rows):
        if row["gain"] is not None:
            _interval(ax, place, row, "gain", "gain_low", "gain_high")
        words = f"{row['improved']} of {row['compared']} improved\n{row['calls'] + row['task_calls']:,} calls"
        ax.text(1.02, place, words, transform=ax.get_yaxis_transform(), va="center", fontsize="small", color=SOFT)
    ax.axvline(0, color=SOFT, linewidth=1)
    labelled(ax, [label_of(row["operator"], 24) for row in rows])
    ax.set(xlabel="mean gain over the parent in points, 95 % interval")
    return ax


def cost_quality(run: Run, ax: Axes | None = None) -> Axes:
    """Plot tokens of one dev row against dev fitness of each prompt, and the Pareto front of those none beats in both.

    Only prompts with enough evidence: half of the most rows that any was scored on.
    """
    ax = axes_of(ax)
    told = quality(_snapshot(run))
    if not told["points"]:
        return nothing(ax, UNSCORED)
    points, front = np.array(told["points"], dtype=float), np.array(told["front"], dtype=float)
    ax.scatter(points[:, 0], points[:, 1], s=14, color=GREY, alpha=0.6, linewidths=0, label="prompts")
    ax.step(front[:, 0], front[:, 1], where="post", color=BLUE, linewidth=1.2)
    ax.plot(front[:, 0], front[:, 1], "o", color=BLUE, markersize=5, label="Pareto front")
    for tokens, score, number in told["front"][-NAMED:]:
        ax.annotate(name_of(number), (tokens, score), (5, -11), textcoords="offset points", fontsize="small", color=INK)
    in_percent(ax.yaxis)
    ax.grid(color=RULE)
    ax.set(xlabel="tokens of one dev row, prompt and reply", ylabel="dev fitness (optimistic)")
    ax.legend(frameon=False, fontsize="small", loc="lower right")
    return ax


def dev_test(run: Run, ax: Axes | None = None) -> Axes:
    """Plot dev (hollow) and test scores, with the tests' intervals, of the winner and the best seed prompt.

    A run that goes on has no test scores yet.
    """
    ax = axes_of(ax, height=2.4)
    snapshot, result = _stands(run)
    told = verdict_of(run, result, snapshot.best)
    if told is None:
        return nothing(ax, UNSCORED)
    sides = [("winner", told["winner"], BLUE), ("best seed prompt", told["baseline"], ORANGE)]
    for place, (_, side, colour) in enumerate(sides):
        dev, test = side["dev"]["mean"], side["test"]
        if test is not None:
            ax.plot([test["low"], test["high"]], [place, place], color=colour, linewidth=2)
            ax.plot(test["mean"], place, "o", color=colour, markersize=7)
        ax.plot(dev, place - 0.16, "o", markerfacecolor="none", markeredgecolor=colour, markersize=7)
    ax.plot([], [], "o-", color=SOFT, label="test, 95 % interval")
    ax.plot([], [], "o", markerfacecolor="none", markeredgecolor=SOFT, label="dev (optimistic)")
    labelled(ax, [f"{name}\n{label_of(_text(side), 30)}" for name, side, _ in sides])
    in_percent(ax.xaxis)
    ax.grid(axis="x", color=RULE)
    ax.margins(x=0.1)
    ax.set(xlabel=f"score{_gain_words(told['gain'])}")
    ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return ax


def rows(run: Run, ax: Axes | None = None) -> Axes:
    """Plot scores by prompt and dev row as a heat map, the hardest rows left; white: not scored.

    The winner's line from its first ancestor on, then the fittest others, ids as island:number.
    """
    told = heat(_snapshot(run))
    prompts = told["prompts"]
    ax = axes_of(ax, width=8.0, height=1.4 + 0.2 * max(len(prompts), 4))
    if not prompts:
        return nothing(ax, UNSCORED)
    scores = np.array([one["scores"] for one in prompts], dtype=float)
    shown = ax.imshow(scores, aspect="auto", cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    labelled(ax, [f"{'line' if one['line'] else 'top'}  {name_of(one['id'])}" for one in prompts])
    ax.set_xticks([])
    count = len(told["examples"])
    ax.set(xlabel=f"{count} of {told['total']} dev rows, the hardest left")
    bar = ax.figure.colorbar(shown, ax=ax, pad=0.01)
    bar.set_label("score")
    in_percent(bar.ax.yaxis)
    return ax


def migration(run: Run, ax: Axes | None = None) -> Axes:
    """Plot how many migrants each island took from each other; below, how many of the living descend from them."""
    ax = axes_of(ax, width=5.0)
    snapshot = _snapshot(run)
    told = migration_of(snapshot) if len(snapshot.numbers) else {"flows": []}
    if not told["flows"]:
        return nothing(ax, "nobody has migrated")
    ends = {flow[end] for flow in told["flows"] for end in ("from", "to")}
    islands = sorted(ends.union(told["islands"]))  # an island may be sent prompts before anybody is born there
    at = {island: place for place, island in enumerate(islands)}
    share = np.full((len(islands), len(islands)), np.nan)
    for flow in told["flows"]:
        share[at[flow["from"]], at[flow["to"]]] = flow["living"] / max(told["living"], 1)
    shown = ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for flow in told["flows"] if len(islands) <= 12 else ():
        dark = share[at[flow["from"]], at[flow["to"]]] > 0.55
        words = f"{flow['accepted']} of {flow['sent']}\n{flow['living']} living"
        place = at[flow["to"]], at[flow["from"]]
        ax.text(*place, words, ha="center", va="center", fontsize="small", color="white" if dark else INK)
    ax.set(xlabel="to island", ylabel="from island", xticks=range(len(islands)), yticks=range(len(islands)))
    ax.set_xticklabels(map(str, islands))
    ax.set_yticklabels(map(str, islands))
    bar = ax.figure.colorbar(shown, ax=ax, shrink=0.8)
    bar.set_label("share of the living that descend from them")
    in_percent(bar.ax.yaxis)
    return ax


def _stands(run: Run) -> tuple[Snapshot, Mapping[str, Any] | None]:
    result = run.result
    return snapshot_of(run, result), result


def _snapshot(run: Run) -> Snapshot:
    return _stands(run)[0]


def _interval(ax: Axes, place: int, row: Mapping[str, Any], middle: str, low: str, high: str) -> None:
    """Draw a gain in points with its interval; filled where the interval does not hold zero."""
    sure = not row[low] <= 0 <= row[high]
    ax.plot([100 * row[low], 100 * row[high]], [place, place], color=BLUE, linewidth=2)
    ax.plot(100 * row[middle], place, "o", color=BLUE, markersize=6, markerfacecolor=BLUE if sure else "white")


def _said(step: Mapping[str, Any]) -> str:
    """Return what a birth added, or the first one's prompt."""
    if step["operator"] == "migration":
        return f"(to island {island_of(step['id'])})"
    kinds = ("same", ADDED) if step["parent"] is None else (ADDED,)
    texts = [text for part in step["diff"] for kind, text in part["changes"] if kind in kinds and text.strip()]
    return label_of(" … ".join(text.strip() for text in texts), 60) or "(nothing added)"


def _text(side: Mapping[str, Any]) -> str:
    return " ".join(text for _, text in side["parts"])


def _gain_words(gain: Mapping[str, Any] | None) -> str:
    if gain is None:
        return ""
    words = f"; gain {100 * gain['mean']:+.1f} points [{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]"
    return words if gain["significant"] else f"{words}: not significant"
