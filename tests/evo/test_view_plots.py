"""Each plot shows what the run's log holds, on axes of its own or a caller's, and takes no text for mathematics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from records import born
from reported import archipelago, reported, without_evidence

from evo.errors import EvoError
from evo.run import Run
from evo.view import plots
from evo.view.story import story

VIEWS = (
    plots.fitness,
    plots.genealogy,
    plots.line_of_descent,
    plots.operators,
    plots.cost_quality,
    plots.dev_test,
    plots.rows,
    plots.migration,
)
HOSTILE = "$\\notacommand{x}$ %\\input{/etc/passwd} \u202e\x1b[31m"
every_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    matplotlib.use("agg")
    yield
    pyplot.close("all")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return reported(tmp_path)


def words(ax: Axes) -> list[str]:
    ax.figure.canvas.draw()
    return [text.get_text() for text in ax.findobj(matplotlib.text.Text) if text.get_text()]


@every_view
def test_a_view_draws_on_axes_of_its_own_and_on_a_callers(run: Run, view: Callable[..., Axes], tmp_path: Path) -> None:
    view(run).figure.savefig(tmp_path / "own.pdf")
    assert (tmp_path / "own.pdf").stat().st_size > 2_000
    _, (left, right) = pyplot.subplots(1, 2)
    before = len(pyplot.get_fignums())
    assert view(run, right) is right
    assert len(pyplot.get_fignums()) == before
    assert right.has_data() or words(right)
    assert not left.has_data()


@every_view
@pytest.mark.parametrize("individuals", [[], [without_evidence(0)]], ids=["empty", "unscored"])
def test_a_view_of_a_run_without_a_score_says_so(tmp_path: Path, view: Callable[..., Axes], individuals: list) -> None:
    assert words(view(reported(tmp_path, individuals, ended=False)))


@every_view
def test_untrusted_text_is_no_mathematics(tmp_path: Path, view: Callable[..., Axes]) -> None:
    one = born(1, HOSTILE, (1.0, 1.0), (0, "base"), operator=HOSTILE)
    drawn = words(view(reported(tmp_path, [born(0, HOSTILE), one])))
    assert not [text for text in drawn if "\u202e" in text or "\x1b" in text]


@pytest.mark.parametrize("view", [plots.line_of_descent, plots.operators, plots.dev_test])
def test_prompts_and_operators_are_labels_as_they_are(tmp_path: Path, view: Callable[..., Axes]) -> None:
    one = born(1, "$a$ prompt", (1.0, 1.0), (0, "base"), operator="$a$ operator")
    ax = view(reported(tmp_path, [born(0, "seed"), one]))
    labels = [text for text in ax.findobj(matplotlib.text.Text) if "$a$" in text.get_text()]
    assert labels
    assert not [text for text in labels if text.get_parse_math() or text.get_usetex()]


@pytest.mark.parametrize(("over", "column"), [("births", 0), ("calls", 1)])
def test_fitness_draws_the_best_of_each_island(run: Run, over: str, column: int) -> None:
    ax = plots.fitness(run, over=over)
    for one in story(run)["course"]["islands"]:
        (line,) = [line for line in ax.lines if line.get_label() == f"island {one['island']}"]
        assert list(line.get_xdata()) == [point[column] for point in one["points"]]
        assert list(line.get_ydata()) == [point[2] for point in one["points"]]


def test_a_step_has_its_gain_and_what_it_added(run: Run) -> None:
    ax = plots.line_of_descent(run)
    steps = story(run)["descent"]["steps"]
    means = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert means == [100 * step["gain"]["mean"] for step in steps if step["gain"]]
    drawn = words(ax)
    assert "kindly" in drawn
    assert "Sort the text." in drawn
    assert "(to island 1)" in drawn


def test_the_pareto_front_is_that_of_the_story(run: Run) -> None:
    (front,) = [line for line in plots.cost_quality(run).lines if line.get_label() == "Pareto front"]
    assert list(zip(*front.get_data(), strict=True)) == [tuple(point[:2]) for point in story(run)["quality"]["front"]]


def test_migration_counts_those_accepted_of_those_sent(run: Run) -> None:
    (flow,) = story(run)["migration"]["flows"]
    assert f"1 of 2\n{flow['living']} living" in words(plots.migration(run))


def test_the_heat_map_has_a_line_for_each_prompt(run: Run) -> None:
    (image,) = plots.rows(run).images
    prompts = story(run)["heat"]["prompts"]
    assert image.get_array().shape == (len(prompts), len(prompts[0]["scores"]))
    assert image.get_array().mask.sum() == sum(score is None for one in prompts for score in one["scores"])


def test_a_run_that_goes_on_has_dev_scores_alone(tmp_path: Path) -> None:
    ax = plots.dev_test(reported(tmp_path, archipelago(), ended=False))
    assert len([line for line in ax.lines if len(line.get_xdata()) == 1]) == 2


def test_without_matplotlib_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(EvoError, match=r"pip install 'prompt-archipelago\[viz\]'"):
        plots.fitness(run)


def test_the_genealogy_has_a_dot_for_each_node_and_a_line_for_each_link(run: Run) -> None:
    told = story(run)["phylogeny"]
    ax = plots.genealogy(run)
    assert len(ax.lines) == len(told["links"]) > 0
    dots = [one for one in ax.collections if len(one.get_offsets())]
    assert len(dots) == len(told["nodes"])
    assert sum(len(one.get_facecolors()) for one in dots) == sum(alive for *_, alive in told["nodes"])
