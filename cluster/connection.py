"""Starts Ray quietly, or joins a cluster, and says in one message why it could not."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster.shipping import python_path, runtime_env
from evo.errors import ConfigError, EvoError

OBJECT_STORE_BYTES = 128 * 2**20
REACH_S = 10.0
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0"}


def connect(base: Path, address: str | None) -> bool:
    """Start Ray here, or join the cluster at an address; return whether Ray was not initialised before.

    Args:
        base: The configuration's folder, whose modules the processes are to find.
        address: ``HOST:PORT``, ``auto``, or nothing for a Ray of this run's own, which listens on loopback.

    Raises:
        ConfigError: Nobody answers at the address.
        EvoError: Ray's processes did not come up.
    """
    os.environ.update({key: value for key, value in _QUIET.items() if key not in os.environ})
    if address and ":" in address:
        _try_to_reach(address)
    import ray

    if ray.is_initialized():
        return False
    path = python_path(base)
    options: dict[str, Any] = {"runtime_env": runtime_env(base, os.environ)}
    if not address:
        options = {
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "num_cpus": os.cpu_count(),
        }
    # In a thread other than the main one Ray warns that it leaves SIGTERM alone, which is what we want.
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        with contextlib.nullcontext() if address else _lent_path(path):
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
                **options,
            )
    except Exception as error:  # where its processes do not come up in time, Ray raises a bare one
        raise _not_joined(address, error) from error
    return True


def _not_joined(address: str | None, error: Exception) -> EvoError:
    if address:
        return ConfigError(f"no Ray cluster answers at {address!r}; start one with `ray start --head`: {error}")
    return EvoError(
        f"Ray did not start on this machine: {str(error).strip()}; on a busy machine set "
        "RAY_raylet_start_wait_time_s=120, or use executor: inline, which needs no Ray"
    )


@contextlib.contextmanager
def _lent_path(path: str) -> Iterator[None]:
    """Let processes that are started now inherit a PYTHONPATH: by a runtime environment it takes Ray 2 s more."""
    kept = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = path
    try:
        yield
    finally:
        if kept is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = kept


def _try_to_reach(address: str) -> None:
    """Raises ConfigError when nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=REACH_S).close()
    except (OSError, ValueError) as error:
        raise ConfigError(f"nothing answers at {address!r} ({error}); start Ray with `ray start --head`") from error


def disconnect() -> None:
    """End the Ray that `connect` started, or leave the cluster it joined."""
    import ray

    ray.shutdown()
