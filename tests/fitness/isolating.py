"""The strictest isolation this machine offers: tests of code run under it."""

from functools import cache

from evo.errors import ConfigError
from fitness.sandbox import require


@cache
def offered(isolation: str) -> bool:
    try:
        require(isolation)
    except ConfigError:
        return False
    return True


STRICTEST = "full" if offered("full") else "limits"
