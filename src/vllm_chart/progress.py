"""Shows on a terminal, or in a log, what takes long; and colours where a person reads."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from vllm_chart.cache import CACHE

console = Console(highlight=False, soft_wrap=True)

_errors = Console(stderr=True, highlight=False, soft_wrap=True)
_STYLES = {"bad": "31;1", "good": "32;1", "path": "1", "remedy": "36", "dim": "2"}
_PATIENCE_SECONDS = 2
_HEARTBEAT_SECONDS = 30  # where there is no terminal to redraw, a line in a log shows life this often
_DURATIONS = CACHE / "durations.json"
_Finish = Callable[[], None]
_lock = threading.RLock()
_live: Progress | None = None
_steps = 0


def clock(seconds: float) -> str:
    """`75` becomes `1:15`, `4.2` becomes `4.2 s`."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def styled(style: str, text: str, stream: TextIO | None = None) -> str:
    """Return a text in a colour if the stream is a terminal, and neither NO_COLOR nor TERM=dumb asks for none."""
    stream = stream or sys.stdout
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain or not text else f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


@contextlib.contextmanager
def working(title: str) -> Iterator[None]:
    """Show on standard error what takes more than 2 seconds: a spinner on a terminal, a line in a log."""
    spinner = _errors.status(title)

    def show() -> None:
        if _errors.is_terminal and not _errors.is_dumb_terminal:
            spinner.start()
        else:
            _errors.print(f"… {title}", markup=False)

    timer = threading.Timer(_PATIENCE_SECONDS, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        spinner.stop()


def _durations() -> dict[str, float]:
    try:
        return dict(json.loads(_DURATIONS.read_text()))
    except (OSError, ValueError):
        return {}


def say(text: str) -> None:
    """Print a line that stays, above any running step."""
    console.print(text)


@contextlib.contextmanager
def step(title: str, *, hint: str = "") -> Iterator[None]:
    """Show a step that may take more than 2 seconds; steps of several threads are shown side by side.

    Args:
        title: what is being done; also the key under which its duration is remembered.
        hint: what to expect when it was never done here, e.g. `about 7 min on 2 cores`.
    """
    last = _durations().get(title)
    expectation = f"last time {clock(last)}" if last else hint
    started = time.monotonic()
    stop = threading.Event()
    if console.is_terminal:
        finish = _redrawn(title, expectation, started, stop)
    else:
        finish = _logged(title, expectation, started, stop)
    try:
        yield
    except BaseException:
        finish()
        say(f"[red]✗[/red] {title}  {clock(time.monotonic() - started)}")
        raise
    elapsed = time.monotonic() - started
    finish()
    say(f"[green]✓[/green] {title}  {clock(elapsed)}")
    with _lock:
        _DURATIONS.parent.mkdir(parents=True, exist_ok=True)
        _DURATIONS.write_text(json.dumps(_durations() | {title: round(elapsed, 1)}, indent=1, sort_keys=True))


def _redrawn(title: str, expectation: str, started: float, stop: threading.Event) -> _Finish:
    """On a terminal: one live line for each step that runs."""
    global _live, _steps
    with _lock:
        if _live is None:
            _live = Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True)
            _live.start()
        _steps += 1
        live, task = _live, _live.add_task(title, total=None)

    def tick() -> None:
        while not stop.wait(0.5):
            note = f"  ({expectation})" if expectation else ""
            live.update(task, description=f"{title}  {clock(time.monotonic() - started)}{note}")

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()

    def finish() -> None:
        global _live, _steps
        stop.set()
        thread.join()
        with _lock:
            live.remove_task(task)
            _steps -= 1
            if _steps == 0:
                live.stop()
                _live = None

    return finish


def _logged(title: str, expectation: str, started: float, stop: threading.Event) -> _Finish:
    """In a log: a line when a step has taken 2 seconds, and one every half minute."""

    def tick() -> None:
        wait: float = _PATIENCE_SECONDS
        while not stop.wait(wait):
            note = f"  ({expectation})" if expectation else ""
            say(f"… {title}  {clock(time.monotonic() - started)}{note}")
            wait = _HEARTBEAT_SECONDS

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()

    def finish() -> None:
        stop.set()
        thread.join()

    return finish
