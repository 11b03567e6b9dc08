from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pytest
from records import born, write

from evo import EvoError, Run
from evo.folder import RunFolder
from evo.model import Outcome
from evo.schema import TABLES, evaluation_rows, measurement_row
from evo.settings import RunSettings


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    settings = RunSettings.model_validate({"task": {"data": "x"}, "storage": str(tmp_path_factory.mktemp("runs"))})
    path = RunFolder.create(settings, base=Path(), title="t", fingerprint="f").path
    births = [born(0), born(1, "", [0.0, 0.0], (0, "base")), born(2, "", [1.0], (1, "base"), (0, "mate"))]
    later = [measurement_row(9, born(1, "", [1.0, 1.0]))]
    write(path, births, measurements=later, evaluations=evaluation_rows(1, [Outcome(0, 1.0)], "dev", step=9))
    return Run(path)


def test_a_query_joins_the_tables_with_fitness_as_it_is_known_now(run):
    found = run.sql(
        "SELECT i.id, i.fitness, e.role FROM individuals i JOIN Edges e ON e.child = i.id ORDER BY i.id, e.place"
    )
    assert isinstance(found, pa.Table)
    assert found.to_pydict() == {"id": [1, 2, 2], "fitness": [1.0, 1.0, 1.0], "role": ["base", "base", "mate"]}
    assert run.sql("SHOW TABLES")["name"].to_pylist() == sorted(TABLES)
    assert list(run.sql("FROM individuals").to_pandas()["id"]) == [0, 1, 2]
    run.sql("CREATE OR REPLACE VIEW individuals AS SELECT 1")
    assert run.sql("FROM individuals").num_rows == 3, "what a query makes is gone with it"


FORBIDDEN = (
    "SELECT * FROM '{file}'",
    "FROM read_csv('{file}')",
    "FROM read_text('{file}')",
    "FROM glob('{folder}/*')",
    "COPY edges TO '{folder}/stolen.csv'",
    "COPY (SELECT 1) TO '{folder}/stolen.parquet'",
    "EXPORT DATABASE '{folder}/stolen'",
    "ATTACH '{folder}/stolen.db'",
    "INSTALL httpfs",
    "LOAD '{file}'",
    "FROM read_csv('http://127.0.0.1:9/x.csv')",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "SET python_enable_replacements = true",
    "SET temp_directory = '{folder}'",
    "FROM hidden",
    "FROM tables",
)


@pytest.mark.parametrize("query", FORBIDDEN)
def test_a_query_reaches_nothing_but_the_tables(run, tmp_path, query):
    hidden = pa.table({"secret": [1]})
    file = tmp_path / "secret.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(EvoError, match=r"^SQL: "):
        run.sql(query.format(file=file, folder=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert hidden.num_rows == 1


@pytest.mark.parametrize("query", ["SELECT", "SELECT nothing FROM edges", "FROM no_such_table"])
def test_a_wrong_query_is_one_error_that_names_the_tables(run, query):
    with pytest.raises(EvoError, match="tables are individuals, measurements"):
        run.sql(query)


def test_without_duckdb_the_mend_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(EvoError, match=r"pip install 'prompt-archipelago\[sql\]'"):
        run.sql("SELECT 1")


def test_only_tables_that_are_named_are_read(run, monkeypatch):
    monkeypatch.setattr(Run, "calls", lambda self: pytest.fail("the largest table was read for nothing"))
    assert run.sql("SELECT count(*) AS n FROM edges")["n"].to_pylist() == [3]
