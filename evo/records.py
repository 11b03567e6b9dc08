"""Rows given in memory, whatever library holds them, as a list that can be read more than once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evo.errors import ConfigError


def records(source: Any) -> list[Any]:
    """Return the rows of an iterable of mappings, a pyarrow Table, or a pandas or polars DataFrame.

    Raises ConfigError for anything else; single rows are not looked at.
    """
    libraries = {parent.__module__.partition(".")[0] for parent in type(source).__mro__}
    if "pandas" in libraries:
        source = source.to_dict(orient="records")
    elif "polars" in libraries:
        source = source.to_dicts()
    elif "pyarrow" in libraries:
        source = source.to_pylist()
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise ConfigError(
            f"expected a path, a list of dicts, a DataFrame or a pyarrow Table, got {type(source).__name__}; "
            "pass one of those"
        )
    return list(source)
