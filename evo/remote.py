"""A run's copy in an object store, named by a URI that `pyarrow.fs` understands: objects, and a manifest written last.

Sealed parts never change, and keep their names; of files that do change each version is an object of its own, named
after its content. So a manifest that was read names one state of the log, whole, whatever is written meanwhile; what no
manifest names any more is deleted afterwards. Credentials come from the environment or the machine, as the store's own
tools take them (``AWS_*``, ``~/.aws``, a role); a URI that carries some is refused, and none is ever recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from evo.errors import ConfigError, EvoError
from evo.journal import open_journals
from evo.parts import numbers_of, parts_of
from evo.schema import TABLES
from evo.secrets import secret_in_url

MANIFEST = "manifest.json"
WRITERS = "writers.json"
"""In a local folder: whose manifests its content goes on from."""
_NAMES = re.compile(
    rf"(?:{'|'.join(TABLES)})/part-[\w-]+\.parquet|journal-\w+\.jsonl|(?:run|result)\.json|data-[\w.-]+"
)
REREADS = 5
"""How often a manifest is read again when an object it names has been replaced meanwhile."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a run as an object."""

    object: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every file of a run, by its name in a local folder, and which process has said so."""

    writer: str
    files: Mapping[str, Entry]


def is_uri(storage: Path | str) -> bool:
    """Whether a storage is an object store's URI."""
    return "://" in str(storage)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in an object store. Raises OSError where the store does not answer."""

    uri: str

    def __post_init__(self) -> None:
        if found := secret_in_url(self.uri):
            raise ConfigError(
                f"storage: expected a URI alone, got one with {found}; the store's credentials come from the "
                "environment (AWS_ACCESS_KEY_ID and so on) or the machine"
            )
        try:
            self._opened()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ConfigError(
                f"storage {self.uri!r} cannot be used: {error}; expected such as s3://bucket/path, or "
                "s3://bucket/path?endpoint_override=HOST:PORT&scheme=http for a store of your own"
            ) from error

    def within(self, name: str) -> Place:
        """Return a folder inside this one."""
        path, mark, query = self.uri.partition("?")
        return Place(f"{path.rstrip('/')}/{name}{mark}{query}")

    @property
    def parent(self) -> Place:
        """The folder this one is in."""
        path, mark, query = self.uri.partition("?")
        return Place(f"{path.rstrip('/').rpartition('/')[0]}{mark}{query}")

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.uri.partition("?")[0].rstrip("/").rpartition("/")[2]

    def get(self, name: str) -> bytes | None:
        """Return an object, or None where there is none."""
        store, root = self._opened()
        try:
            with store.open_input_stream(f"{root}/{name}") as stream:
                content: bytes = stream.read()
        except FileNotFoundError:
            return None
        return content

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        store, root = self._opened()
        path = f"{root}/{name}"
        if store.type_name == "local":
            store.create_dir(path.rpartition("/")[0], recursive=True)
        with store.open_output_stream(path) as stream:
            stream.write(content)

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        store, root = self._opened()
        try:
            store.delete_file(f"{root}/{name}")
        except FileNotFoundError:
            return

    def manifest(self) -> Manifest | None:
        """Return the manifest, or None where no run is. Raises EvoError when it cannot be read."""
        content = self.get(MANIFEST)
        if content is None:
            return None
        try:
            told = json.loads(content)
            return Manifest(told["writer"], {name: _checked(name, entry) for name, entry in told["files"].items()})
        except (ValueError, TypeError, LookupError) as error:
            raise EvoError(f"{self.uri}: {MANIFEST} is damaged: {error}; put back the one the run wrote") from error

    def put_manifest(self, manifest: Manifest) -> None:
        """Write the manifest: what it names must be there."""
        files = {name: asdict(entry) for name, entry in sorted(manifest.files.items())}
        self.put(MANIFEST, json.dumps({"writer": manifest.writer, "files": files}, indent=1).encode())

    def runs(self) -> list[Place]:
        """Return the runs in this folder, the latest last: their names begin with the time."""
        store, root = self._opened()
        inside = store.get_file_info(fs.FileSelector(root, allow_not_found=True))
        names = sorted(info.base_name for info in inside if info.type == fs.FileType.Directory)
        return [place for place in map(self.within, names) if place.get(MANIFEST) is not None]

    def _opened(self) -> tuple[fs.FileSystem, str]:
        store, path = fs.FileSystem.from_uri(self.uri)
        return store, path.rstrip("/")


def _checked(name: str, told: Mapping[str, Any]) -> Entry:
    """Return an entry; what a manifest names is written to a local folder, and a manifest may be anybody's."""
    entry = Entry(**told)
    if not _NAMES.fullmatch(name) or not re.fullmatch(rf"{re.escape(name)}(\.[0-9a-f]{{16}})?", entry.object):
        raise ValueError(f"{name!r} as {entry.object!r} is no file of a run")
    return entry


def find_run(uri: str) -> Place:
    """Return the run at a URI, or the latest in it. Raises ConfigError when there is none."""
    place = Place(uri)
    try:
        runs = [place] if place.manifest() is not None else place.runs()
    except OSError as error:
        raise EvoError(f"{uri} does not answer: {error}; see that it is up, and that credentials are set") from error
    if not runs:
        raise ConfigError(f"{uri!r} is no run: expected a {MANIFEST} there, or in a folder of it")
    return runs[-1]


def snapshot_of(folder: Path) -> dict[str, Path | bytes]:
    """Return the files that hold a run up to one moment, by name: contents of those that change, paths of the rest.

    Raises OSError where the folder is not that of a run.
    """
    tails = _tails(folder)
    found: dict[str, Path | bytes] = {journal.name: content for journal, content in tails.items()}
    numbers = {numbers_of(journal)[0] for journal in tails}
    for table in TABLES:
        for part in parts_of(folder / table):
            # What was sealed since the journals were read is in them, or is later than they are.
            if not numbers or (part.last <= max(numbers) and part.first not in numbers):
                found[f"{table}/{part.path.name}"] = part.path
    found["run.json"] = (folder / "run.json").read_bytes()
    if (result := folder / "result.json").exists():
        found[result.name] = result.read_bytes()
    return {**found, **{path.name: path for path in sorted(folder.glob("data-*"))}}


def _tails(folder: Path) -> dict[Path, bytes]:
    while True:
        try:
            whole = {journal: journal.read_bytes() for journal in open_journals(folder)}
        except FileNotFoundError:
            continue  # sealed between the two looks
        return {journal: content[: content.rfind(b"\n") + 1] for journal, content in whole.items()}


def entry_of(name: str, content: bytes) -> Entry:
    """Return how a file is kept: parts and data under their own names, the rest under their content's."""
    digest = hashlib.sha256(content).hexdigest()
    stays = "/part-" in name or name.startswith("data-")
    return Entry(name if stays else f"{name}.{digest[:16]}", len(content), digest)


def download(place: Place, folder: Path) -> Manifest:
    """Bring a folder to the state the manifest names; return it.

    Only what is missing or differs is fetched, and checked. Raises EvoError when an object is not what the manifest
    says, or the store does not answer.
    """
    try:
        for _ in range(REREADS):
            manifest = place.manifest()
            if manifest is not None and _fetch_all(place, manifest, folder):
                return manifest
    except OSError as error:
        raise EvoError(f"{place.uri} cannot be read: {error}; see that it is up, then try again") from error
    raise EvoError(f"{place.uri} is not whole: objects its {MANIFEST} names are missing; put back what the run wrote")


def _fetch_all(place: Place, manifest: Manifest, folder: Path) -> bool:
    for table in TABLES:
        (folder / table).mkdir(parents=True, exist_ok=True)
    for name, entry in manifest.files.items():
        path = folder / name
        if path.exists() and _is(path.read_bytes(), entry):
            continue
        content = place.get(entry.object)
        if content is None:
            return False
        if not _is(content, entry):
            raise EvoError(f"{place.uri}: {entry.object} is damaged: it is not what {MANIFEST} says; put it back")
        draft = path.with_name(f".{path.name}.tmp")
        draft.write_bytes(content)
        os.replace(draft, path)
    for left in [*open_journals(folder), *folder.glob("*/part-*.parquet")]:
        if str(left.relative_to(folder)) not in manifest.files:
            left.unlink()
    return True


def _is(content: bytes, entry: Entry) -> bool:
    return len(content) == entry.bytes and hashlib.sha256(content).hexdigest() == entry.sha256


def writers_of(folder: Path) -> list[Any]:
    """Return whose manifests a local folder's content goes on from."""
    path = folder / WRITERS
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []
