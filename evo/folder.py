"""A run's folder: made once, opened for reading by anyone, held for writing by one process."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from evo.config import parse
from evo.errors import ConfigError, EvoError
from evo.model import digest
from evo.remote import WRITERS, Place, download, find_run, is_uri, writers_of
from evo.schema import SCHEMA_VERSION, TABLES
from evo.settings import RunSettings

HOLD_S = 10.0
"""How long to wait for a killed predecessor to let go of the folder."""
WORKING = Path("runs")
"""Where a run is written whose storage is an object store; its copy there follows."""
_RECORDED = ("prompt-archipelago", "ray", "litellm", "xllamacpp", "numpy", "pyarrow", "deap")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run lives: ``run.json``, the tables, ``result.json`` when there is one."""

    path: Path

    @classmethod
    def create(cls, settings: RunSettings, *, base: Path, title: str, fingerprint: str) -> RunFolder:
        """Make a new folder in the settings' storage. Raises ConfigError when it cannot be made.

        Args:
            settings: The run's settings, resolved.
            base: The folder that relative data paths start from.
            title: Part of the folder's name.
            fingerprint: Identifies the task's rows, layout and scorer.
        """
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "run"
        root = Path(settings.storage)
        if is_uri(settings.storage):
            _, root = Place(settings.storage), WORKING
        try:
            path = _fresh(root, f"{stamp}-{slug}")
            for table in TABLES:
                (path / table).mkdir()
        except OSError as error:
            raise ConfigError(f"storage {str(root)!r} cannot be written: {error.strerror}; name another one") from error
        content = {
            "schema": SCHEMA_VERSION,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": _plain(settings),
            "base": str(base.resolve()),
            "fingerprint": fingerprint,
            "id_layout": "island << 40 | sequence",
            "versions": _versions(),
        }
        write_json(path / "run.json", content)
        return cls(path)

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """Return an existing run's folder, or that of the latest run in a storage folder.

        Of a URI it is the user's cache, brought up to date: to be read, and not to go on with.

        Raises:
            ConfigError: There is none; the latest run near it is named.
            EvoError: This version cannot read it.
        """
        folder = _read_copy(find_run(str(path))) if is_uri(path) else Path(path)
        found = [folder] if (folder / "run.json").is_file() else _runs(folder)
        if not found:
            near = _runs(folder.parent)
            hint = f"; the latest run near it is {near[-1]}" if near else ""
            raise ConfigError(
                f"{str(folder)!r} is no run: expected a folder with run.json, or one of such folders{hint}"
            )
        opened = cls(found[-1])
        _ = opened.manifest  # of another version's tables the readers would say that they are damaged
        return opened

    @classmethod
    def to_write(cls, path: Path | str) -> RunFolder:
        """Return a run's folder to go on with: one at a URI is fetched, unless it was written here.

        Raises as `open`, and EvoError when the run has gone on elsewhere since it was written here.
        """
        return cls.open(_fetched(find_run(str(path))) if is_uri(path) else path)

    @property
    def copy(self) -> Place | None:
        """Where the run's copy in an object store is, if its storage is one."""
        storage = self.settings.storage
        return Place(storage).within(self.path.name) if is_uri(storage) else None

    @property
    def manifest(self) -> dict[str, Any]:
        """The content of ``run.json``. Raises EvoError when this version cannot read it."""
        content = _read_json(self.path / "run.json")
        if content.get("schema") != SCHEMA_VERSION:
            found = content.get("schema")
            raise EvoError(
                f"{self.path / 'run.json'} has schema {found}, this version reads {SCHEMA_VERSION}; "
                "open it with the version of prompt-archipelago that its `versions` names"
            )
        return content

    @property
    def settings(self) -> RunSettings:
        """The run's settings as resolved when it was made, or last resumed. Raises EvoError when they are damaged."""
        return parse(self.manifest.get("settings"), file=str(self.path / "run.json"))

    def change(self, settings: RunSettings) -> None:
        """Record changed settings, as a resumed run with a larger budget does."""
        write_json(self.path / "run.json", {**self.manifest, "settings": _plain(settings)})

    @property
    def result(self) -> dict[str, Any] | None:
        """The final report's figures, or None while there are none."""
        path = self.path / "result.json"
        return _read_json(path) if path.exists() else None

    def hold(self) -> Hold:
        """Take the folder for writing. Raises EvoError when another process has it, or it cannot be written."""
        try:
            return Hold(self.path / "lock")
        except OSError as error:
            raise EvoError(f"{self.path} cannot be written: {error}; mend that, or copy the run elsewhere") from error


class Hold:
    """An advisory lock that the kernel frees when its process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "a+")  # noqa: SIM115 - held until released
        deadline = time.monotonic() + HOLD_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self._file.close()
                    raise EvoError(_held_by(path)) from None
                time.sleep(0.1)
        self._file.truncate(0)
        self._file.write(f"{os.getpid()} on {platform.node()}")
        self._file.flush()

    def release(self) -> None:
        """Let go."""
        self._file.close()


def _read_copy(place: Place) -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prompt-archipelago" / "runs"
    folder = home / digest(place.uri)[:12] / place.name
    download(place, folder)
    return folder


def _fetched(place: Place) -> Path:
    folder = WORKING / place.name
    if (folder / "run.json").exists():
        manifest = place.manifest()
        if manifest is not None and manifest.writer not in writers_of(folder):
            raise EvoError(f"{place.uri} has gone on elsewhere since {folder} was written; move that folder away")
        return folder
    draft = WORKING / f".{place.name}.tmp"  # whole, or not there
    manifest = download(place, draft)
    (draft / WRITERS).write_text(json.dumps([manifest.writer]), encoding="utf-8")
    fetched = RunFolder(draft)
    fetched.change(fetched.settings.model_copy(update={"storage": place.parent.uri}))  # by the name it has from here
    os.replace(draft, folder)
    return folder


def _runs(storage: Path) -> list[Path]:
    """Return the runs in a storage folder, the latest last: their names begin with the time."""
    return sorted(manifest.parent for manifest in storage.glob("*/run.json"))


def _plain(settings: RunSettings) -> dict[str, Any]:
    # Rows given in memory are written beside, not into the settings.
    data = settings.task.data
    rows = {split for split in ("train", "dev", "test", "all") if not isinstance(getattr(data, split), str | Path)}
    return settings.model_dump(mode="json", exclude={"task": {"data": rows}})


def _held_by(path: Path) -> str:
    return f"{path.parent} is being written by process {path.read_text() or '?'}; stop that run first, or read this one"


def _fresh(root: Path, name: str) -> Path:
    for number in range(1000):
        path = root / (name if number == 0 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(17, "too many runs of this name", str(root))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvoError(f"cannot read {path} as JSON: {error}; put back the file the run has written") from error
    if not isinstance(content, dict):
        raise EvoError(f"{path} is damaged: expected a JSON object; put back the file the run has written")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, path)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
