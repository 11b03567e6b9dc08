"""Code of models in its sandbox, friendly and hostile. Each process takes about 0.2 s to come up."""

import asyncio
import json
import os
import subprocess
import sys
import time

import pytest
from isolating import STRICTEST, offered

from evo.errors import ConfigError
from evo.model import Completion, Example, Score
from evo.settings import NamedSettings
from fitness import sandbox
from fitness.flaws import row_flaw
from fitness.sandbox import Limits, Report, require, run_tests
from fitness.scorers import make_scorer
from fitness.unit_tests import Code, code_in

ADD = "def add(a, b):\n    return a + b\n"


def ran(code: str, *tests: str, **limits) -> Report:
    if not offered(STRICTEST):
        pytest.fail("neither isolation works on this machine: see the words of `require`")
    return run_tests(
        code, tests or ("assert True",), Limits(**{"isolation": STRICTEST, "cpu_s": 1, "wall_s": 20, **limits})
    )


def score(reply: str, target: str, inputs=None, **arguments) -> Score:
    scorer = make_scorer(NamedSettings(name="code", **{"isolation": STRICTEST, **arguments}))
    return asyncio.run(scorer(Completion(reply, 1, 1), Example(0, inputs or {"input": "i"}, target)))


# --- the scorer ------------------------------------------------------------------------------------------------------


def test_the_share_of_tests_passed():
    tests = json.dumps(["assert add(1, 2) == 3", "assert add(1, 2) == 4, 'three'", "assert add(2, 2) == 4"])
    result = score(f"Here:\n```python\n{ADD}```\nDone.", tests)
    assert result.value == pytest.approx(2 / 3)
    assert result.reason == (
        "2 of 3 tests passed; test 2, \"assert add(1, 2) == 4, 'three'\", failed: AssertionError: three"
    )
    assert score(ADD, tests, measure="all").value == 0
    assert score(ADD, "assert add(1, 2) == 3\nassert add(0, 0) == 0") == Score(1.0)


def test_tests_may_stand_in_a_column_of_their_own():
    assert score(ADD, "unused", {"input": "i", "checks": "assert add(1, 1) == 2"}, tests="checks").value == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("def add(a, b) return", "0 of 1 tests passed; the code failed before them: SyntaxError: "),
        ("import no_such_thing", "0 of 1 tests passed; the code failed before them: ModuleNotFoundError: "),
        ("raise SystemExit", "0 of 1 tests passed; the code failed before them: SystemExit"),
        (
            "import os; os._exit(0)",
            "0 of 1 tests passed; test 1, 'assert add(1, 2) == 3', did not end: its process ended",
        ),
        (
            "add = lambda a, b: (_ for _ in ()).throw(KeyError(a))",
            "test 1, 'assert add(1, 2) == 3', failed: KeyError: 1",
        ),
        ("print(1)", "failed: NameError: name 'add' is not defined"),
    ],
)
def test_the_reason_is_the_first_failure(reply, reason):
    result = score(reply, "assert add(1, 2) == 3")
    assert (result.value, result.parsed) == (0, True)
    assert reason in result.reason


def test_a_long_failure_is_cut():
    result = score("raise ValueError('x' * 100_000)", "assert '" + "y" * 9_000 + "'")
    assert len(result.reason) < 700


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("a = 1", "a = 1"),
        ("Sure:\n```python\na = 1\n```\nUse:\n```python\nb\n```", "a = 1\n"),
        ("```\na = 1\n```", "a = 1\n"),
        ("```py\r\na = 1\r\n```", "a = 1\n"),
        ("```bash\npip\n```\n```Python\na = 1\n```", "a = 1\n"),
        ("```python\na = 1\ncut shor", "a = 1\ncut shor"),
        ("1. Here:\n   ```python\n   if a:\n       b\n   ```\n   Done.", "if a:\n    b\n"),
        ("- So:\n  ```\n  a = 1\nb = 2\n```", "a = 1\nb = 2\n"),
    ],
)
def test_where_code_is_found(reply, code):
    assert code_in(reply) == code


@pytest.mark.parametrize("reply", ["", " \n", "```python\n\n```"])
def test_a_reply_without_code_is_unparsed(reply):
    assert (score(reply, "assert 1").value, score(reply, "assert 1").parsed) == (0, False)


def test_rows_without_usable_tests_are_left_out_of_the_data():
    assert "is no Python" in row_flaw(Code(), {}, "assert add(")
    assert row_flaw(Code(tests="checks"), {"checks": " "}, "t") == "no tests in column 'checks'"
    assert not row_flaw(Code(), {}, '["assert a", "assert b"]')
    with pytest.raises(ValueError, match="is no Python"):
        score(ADD, "assert add(")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measure": "any"}, "unknown measure 'any'"),
        ({"isolation": "none"}, "unknown isolation 'none'"),
        ({"cpu_s": 0.5}, "expected cpu_s as a whole number of at least 1, got 0.5"),
        ({"memory_mb": 8}, "expected memory_mb as a whole number of at least 64"),
        ({"processes": -1}, "expected processes"),
        ({"wall_s": 0}, "expected wall_s in seconds"),
        ({"cpu": 5}, "did you mean 'cpu_s'"),
    ],
)
def test_unusable_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        score(ADD, "assert 1", **arguments)


# --- hostile code ----------------------------------------------------------------------------------------------------


def test_an_infinite_loop_ends_with_its_cpu_time_and_keeps_what_was_passed():
    report = ran(ADD, "assert add(1, 1) == 2", "while True: pass", "assert 1")
    assert report == Report(("",), ended="it took more than 1 s of CPU time, or was killed")


def test_a_sleeper_ends_with_its_time():
    began = time.monotonic()
    report = ran("import time; time.sleep(60)", wall_s=1.5)
    assert report.ended == "it took longer than 1.5 s"
    assert time.monotonic() - began < 20


def test_a_fork_bomb_is_bounded():
    bomb = """
import os, time
count = 0
try:
    while count < 500:
        if not os.fork():
            time.sleep(30)
            os._exit(0)
        count += 1
except OSError as error:
    raise RuntimeError(f"{count} forks") from error
"""
    report = ran(bomb, processes=4)
    number = int(report.broken.split()[1])
    assert report.broken == f"RuntimeError: {number} forks"
    assert number <= 8


def test_a_memory_bomb_and_a_deep_recursion_are_errors_of_the_code():
    assert ran("x = bytearray(3 << 30)").broken == "MemoryError"
    assert ran("def f(): f()\nf()").broken.startswith("RecursionError")


def test_a_huge_file_is_refused():
    report = ran("open('big', 'wb').write(b'0' * (64 << 20))", disk_mb=2)
    assert report.broken.startswith("OSError: [Errno ")


def test_a_flood_of_empty_files_is_bounded():
    report = ran("for n in range(20_000): open(str(n), 'w').close()", cpu_s=5)
    assert report.broken.startswith("OSError") or STRICTEST == "limits"


def test_the_environment_is_empty(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    report = ran("import os; raise ValueError(sorted(os.environ))")
    assert report.broken.startswith("ValueError: ['HOME', 'LC_ALL', ")
    assert "OPENAI" not in report.broken
    assert "secret" not in ran("import os; raise ValueError(os.popen('env').read())").broken


def test_megabytes_of_output_are_nobodys(capfd):
    assert ran("import os, sys\nprint('x' * (20 << 20))\nsys.stderr.write('y' * (20 << 20))") == Report(("",))
    assert capfd.readouterr() == ("", "")


def test_a_flood_of_the_report_ends_it():
    flood = """
import os
for fd in range(3, 64):
    try:
        while True:
            os.write(fd, b"[]\\n" * 30_000)
    except OSError:
        pass
"""
    assert not ran(flood).errors


def test_code_cannot_excuse_itself():
    forged = """
import os
for fd in range(3, 64):
    try:
        os.write(fd, b'{"refused": "no sandbox"}\\n')
    except OSError:
        pass
os._exit(0)
"""
    assert ran(forged) == Report((), ended="its process ended")


def test_killing_the_parent_harms_nobody():
    report = ran("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", "assert 1")
    assert len(report.errors) <= 1
    assert ran(ADD, "assert add(1, 1) == 2") == Report(("",))


def test_a_crash_of_the_interpreter_is_a_failure():
    assert ran("import ctypes; ctypes.string_at(0)").ended == "its process ended (signal 11)"


def test_nothing_is_left_behind_in_the_file_system(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert ran("import os; os.mkdir('a'); open('a/b', 'w').write('c')") == Report(("",))
    assert list(tmp_path.iterdir()) == []


def test_full_isolation_shows_no_process_no_network_and_no_file_of_the_users(tmp_path):
    if not offered("full"):
        with pytest.raises(ConfigError, match="isolation: limits"):
            require("full")
        return
    (tmp_path / "secret").write_text("secret")
    script = f"""
import os, socket
def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return type(error).__name__
    return "allowed"
found = [
    refused(open, {str(tmp_path / "secret")!r}),
    refused(open, "/etc/passwd"),
    refused(os.listdir, "/proc"),
    refused(os.mkdir, "/usr/evo"),
    refused(socket.create_connection, ("127.0.0.1", 22), 1),
    refused(socket.create_connection, ("192.0.2.1", 80), 1),
    refused(os.setuid, 0),
    refused(os.chroot, "."),
]
assert "allowed" not in found, found
assert os.getpid() < 10
"""
    assert ran(script, isolation="full") == Report(("",))


def test_full_isolation_leaves_no_process_behind():
    if not offered("full"):
        assert STRICTEST == "limits"  # which says that it may leave some
        return
    mark = f"evo_left_{os.getpid()}"
    code = f"""
import os, sys
if not os.fork():
    os.setsid()
    if not os.fork():
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(45)", {mark!r}])
    os._exit(0)
"""
    assert ran(code, isolation="full") == Report(("",))
    left = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if mark.encode() in _words_of(pid)]
    assert not left


def _words_of(pid: str) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


# --- when there is no sandbox ----------------------------------------------------------------------------------------


def test_without_a_sandbox_nothing_runs_and_the_score_is_missing(monkeypatch, tmp_path):
    script = tmp_path / "refusing.py"
    monkeypatch.setattr(sandbox, "SCRIPT", script)
    require.cache_clear()
    for text, message in (
        ('print(\'{"refused": "unshare: no"}\')', "the sandbox was refused: unshare: no"),
        ("", "the sandbox did not come up in time"),
    ):
        script.write_text(text)
        with pytest.raises(OSError, match=message):
            score(ADD, "assert 1")
        with pytest.raises(ConfigError, match=message):
            require("full")


def test_the_script_needs_nothing_of_ours():
    script = f"import sys; sys.path.clear(); sys.path.extend({[p for p in sys.path if 'site' not in p and p]!r});"
    script += f"exec(compile(open({str(sandbox.SCRIPT)!r}).read(), 's', 'exec'), {{'__name__': 's'}});"
    script += "print(not {'evo', 'fitness'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
