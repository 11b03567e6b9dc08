"""``evo watch``: a page that shows a run as it goes."""

from __future__ import annotations

import time
import webbrowser
from argparse import Namespace

from evo.cli.reading import print_json
from evo.cli.text import safe, shell_word, shown_path
from evo.run import Run
from evo.view.live import has_ended
from evo.view.server import Watching

LOOK_S = 1.0
"""Seconds between looks at whether the run has ended."""


def watch(options: Namespace) -> None:
    """Serve the page until Ctrl-C; say when the run has ended."""
    run = Run(options.run)
    with Watching(run, port=options.port) as page:
        if options.json:
            print_json({"run": str(run.path), "url": page.url})
        else:
            print(
                f"{shown_path(run.path)}: {safe(run.status)}\nlook   {page.url}\nCtrl-C ends this page; the run goes on"
            )
        print(end="", flush=True)
        if options.open:
            webbrowser.open(page.url)
        try:
            _wait(run, quiet=options.json or has_ended(run.path))
        except KeyboardInterrupt:
            if not options.json:
                print("\nno longer watched")


def _wait(run: Run, *, quiet: bool) -> None:
    while True:
        time.sleep(LOOK_S)
        if not quiet and has_ended(run.path):
            print(f"finished; the page stays until Ctrl-C: evo best {shell_word(run.path)}", flush=True)
            quiet = True
