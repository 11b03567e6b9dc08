"""A whole run inside a real Jupyter kernel, whose event loop is already running."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import EXAMPLES

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("default")]  # the kernel's client warns on its own account

CELLS = (
    "import evo\nfrom fitness.fake import toy_rows",
    "run = evo.evolve(\n"
    "    {'data': toy_rows(120, 0), 'description': 'Tell the mood.'},\n"
    "    prompts=['What is the mood?', 'Sort the text.'],\n"
    "    model='fake/toy', method='steady-state', executor='inline', budget={'calls': 1500}, storage='runs',\n"
    ")\nrun",
    "graph = run.lineage(run.best).to_networkx()\nassert graph.number_of_nodes() >= 1",
    "evo.open_run(run.path).individuals().num_rows",
)


def test_evolve_in_a_notebook(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = notebook.cells[1].outputs[0]["data"]["text/plain"]
    assert "optimistic" in shown
    assert "test" in shown
    assert int(notebook.cells[3].outputs[0]["data"]["text/plain"]) > 2


def test_the_example_notebook_runs(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    for name in ("lineage.ipynb", "toy.yaml", "toy.jsonl"):
        (tmp_path / name).write_text((EXAMPLES / name).read_text())
    notebook = nbformat.read(tmp_path / "lineage.ipynb", as_version=4)
    for cell in notebook.cells:
        cell["outputs"] = []
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell["outputs"]]
    run, lineage, individual = (data["text/html"] for data in outputs if "text/html" in data)
    assert "Gain over the best seed prompt" in run
    assert run.count("data:image/svg+xml;base64,") == 2
    assert run.index("data:image/svg+xml;base64,") < run.index("<iframe")
    assert "gain over its parent" in lineage
    assert "optimistic where it was chosen by it" in individual
