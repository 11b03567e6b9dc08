"""Keeps a run's copy in an object store up to date while it is written, and whole at every moment.

The log itself is in a local folder: every transaction survives `kill -9` there. Every few seconds what is new goes to
the store, the open journal included, and the manifest last. So when the machine is lost too, the copy lacks what was
logged in the last `UPLOAD_S` seconds and during one upload; an end, clean or by an interrupt, uploads everything.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path

from evo.errors import EvoError
from evo.lease import Lease
from evo.remote import WRITERS, Entry, Manifest, Place, entry_of, snapshot_of, writers_of

UPLOAD_S = 10.0


class Mirror:
    """Uploads a run from a thread of its own.

    Raises EvoError when another process writes the copy, when the run has gone on elsewhere, or when the store does
    not answer at the start. Later failures are tried again until the end.
    """

    def __init__(self, folder: Path, place: Place) -> None:
        self._folder, self._place = folder.resolve(), place
        self._wake, self._over = threading.Event(), False
        self.taken: EvoError | None = None
        """Why nothing may be written any more: another process has taken the copy."""
        try:
            self._lease = Lease(place)
            self._files = dict(self._known())
        except OSError as error:
            raise EvoError(
                f"{place.uri} does not answer: {error}; see that it is up, that the bucket is there and that "
                "credentials are set"
            ) from error
        self._thread = threading.Thread(target=self._keep, name="mirror", daemon=True)

    def start(self) -> None:
        """Begin uploading; the journal must be open."""
        self._thread.start()

    def close(self) -> None:
        """Upload what is left, and let go. Raises EvoError when that fails: the local folder then has more."""
        self._over = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        try:
            if self.taken is None:
                self.upload()
                self._lease.release()
        except OSError as error:
            raise EvoError(
                f"the end of the run could not be uploaded to {self._place.uri}: {error}; it is in {self._folder}, "
                "evo resume uploads it"
            ) from error

    def upload(self) -> None:
        """Bring the copy up to date. Raises OSError when the store refuses, EvoError when another has taken it."""
        self._lease.check()
        files = {name: self._put(name, content) for name, content in snapshot_of(self._folder).items()}
        if files == self._files:
            return
        self._lease.check()
        self._place.put_manifest(Manifest(self._lease.token, files))
        gone = {entry.object for entry in self._files.values()} - {entry.object for entry in files.values()}
        self._files = files
        for name in sorted(gone):
            self._place.delete(name)

    def _known(self) -> dict[str, Entry]:
        """Return what the copy holds already, by this folder's earlier writers; from now on this is one of them."""
        manifest, writers = self._place.manifest(), writers_of(self._folder)
        if manifest is not None and manifest.writer not in writers:
            self._lease.release()
            raise EvoError(
                f"{self._place.uri} has gone on elsewhere since {self._folder} was written; move that folder away, "
                f"then `evo resume '{self._place.uri}'` goes on from there"
            )
        (self._folder / WRITERS).write_text(json.dumps([*writers, self._lease.token]), encoding="utf-8")
        return {} if manifest is None else dict(manifest.files)

    def _put(self, name: str, content: Path | bytes) -> Entry:
        """Upload a file unless the copy has it; a path's content never changes."""
        known = self._files.get(name)
        if isinstance(content, Path):
            if known is not None and known.bytes == content.stat().st_size:
                return known
            content = content.read_bytes()
        entry = entry_of(name, content)
        if entry != known:
            with self._lease.kept():
                self._place.put(entry.object, content)
            self._lease.renew()
        return entry

    def _keep(self) -> None:
        while not self._over:
            with suppress(OSError):  # tried again, and told at the end
                try:
                    self.upload()
                    self._lease.renew()
                except EvoError as error:
                    self.taken = error
                    return
            self._wake.wait(UPLOAD_S)
