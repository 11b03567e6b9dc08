"""A process that writes the log is killed at any moment, twelve times over, in the same folder."""

from __future__ import annotations

import subprocess
import sys

from evo.journal import open_journals, read_table
from evo.schema import TABLES

KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from evo.journal import Journal, read_table
from evo.schema import event_row

folder = Path(sys.argv[1])
random.seed(7)

def write(acknowledge):
    journal = Journal(folder, seal_rows=30)
    number = read_table(folder, "edges").num_rows
    while True:
        rows = [{"child": number + i, "parent": 0, "role": "base", "place": 0} for i in range(3)]
        journal.append({"edges": rows, "events": [event_row(0, "told", number)]})
        number += 3
        os.write(acknowledge, b"%d\\n" % number)
        time.sleep(0.0004)

last = 0
for trial in range(12):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        write(writing)
    os.close(writing)
    heard = os.read(reading, 65536) if trial % 3 else b""  # else it may still be sealing what the last one left
    time.sleep(random.random() * 0.12)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while piece := os.read(reading, 65536):
        heard += piece
    os.close(reading)
    last = int(heard.split(b"\\n")[-2]) if heard else last
    print(last, flush=True)
"""


def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(tmp_path):
    ran = subprocess.run([sys.executable, "-c", KILLER, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    acknowledged = list(map(int, ran.stdout.split()))
    assert len(acknowledged) == 12
    assert acknowledged == sorted(acknowledged)
    numbers = read_table(tmp_path, "edges")["child"].to_pylist()
    assert numbers == list(range(len(numbers)))
    assert len(numbers) - acknowledged[-1] in (0, 3), "at most the one transaction that was not acknowledged"
    events = read_table(tmp_path, "events")["individual"].to_pylist()
    assert events == list(range(0, len(numbers), 3)), "a transaction is whole or not there"
    assert set(open_journals(tmp_path)) | set(tmp_path.glob("*/part-*")), "nothing was written"
    assert len(list(tmp_path.glob("edges/part-*"))) > 12
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} <= set(TABLES)
