"""SQL over a run's tables, by DuckDB where it is installed (extra ``sql``), and over nothing else.

A query may come from a stranger, a model among them: the connection lives in memory, holds the tables alone, and can
read or write no file, reach no network, load no extension, see no Python variable and change none of this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from evo.errors import EvoError

_SEALED = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET temp_directory = ''",  # a query too large for memory fails, and spills nowhere
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


def run_query(query: str, tables: Mapping[str, Callable[[], pa.Table]]) -> pa.Table:
    """Return a query's result. Only tables whose name is in the query are read; all, where none is.

    Raises EvoError when DuckDB is not installed, or with its own words when it refuses the query.
    """
    duckdb = _duckdb()
    named = [name for name in tables if re.search(rf"\b{name}\b", query, re.IGNORECASE)]
    read = {name: tables[name]() for name in named or tables}
    with duckdb.connect(":memory:") as connection:
        for name, table in read.items():
            connection.register(name, table)
        for setting in _SEALED:
            connection.execute(setting)
        try:
            found = connection.sql(query)
            return pa.table({}) if found is None else found.to_arrow_table()
        except duckdb.Error as error:
            raise EvoError(f"SQL: {error}; tables are {', '.join(tables)}") from error


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise EvoError(
            "SQL needs DuckDB, which is not installed; pip install 'prompt-archipelago[sql]', or use the Arrow tables"
        ) from None
    return duckdb
