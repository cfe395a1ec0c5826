"""Runs other programs, and ends them with the command that started them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from vllm_chart.errors import CommandError, UserError


def run(
    command: Sequence[str | Path],
    *,
    log: Path | None = None,
    check: bool = True,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program and return its standard output.

    Args:
        command: program and arguments; never a shell line.
        log: append both outputs there instead of holding them (nothing is returned then).
        cwd: folder to run in.
        check: raise `CommandError` when the exit code isn't 0.
        env: added to this process's environment.
        stdin: text for its standard input; without it the program reads end-of-file.
        timeout: seconds, after which the program is ended and `CommandError` raised.
    """
    words = [str(word) for word in command]
    try:
        with contextlib.ExitStack() as open_files:
            output: int | IO[bytes] = subprocess.PIPE
            if log:
                log.parent.mkdir(parents=True, exist_ok=True)
                output = open_files.enter_context(log.open("ab"))
                output.write(f"$ {' '.join(words)}\n".encode())
                output.flush()
            process = subprocess.Popen(
                words,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that `end_programs` reaches all that it starts
            )
            _programs.add(process)
            try:
                out, errors = process.communicate((stdin or "").encode(), timeout)
            except BaseException:
                _end(process)
                raise
            finally:
                _programs.discard(process)
    except FileNotFoundError:
        raise UserError(f"{words[0]}: program not found. Install it and put it on PATH.") from None
    except OSError as error:
        raise CommandError(words, 126, error.strerror or str(error)) from None
    except subprocess.TimeoutExpired:
        raise CommandError(words, 124, f"no end after {timeout:.0f} s") from None
    if log:
        out, errors = b"", log.read_bytes()[-4000:] + f"\n(all of it: {log})".encode()
    if check and process.returncode:
        raise CommandError(words, process.returncode, (out + errors).decode(errors="replace"))
    return out.decode(errors="replace")


_programs: set[subprocess.Popen[bytes]] = set()


def end_programs() -> None:
    """End what `run` has running in any thread, so that nothing goes on for a command that was given up."""
    for process in list(_programs):
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
            return
