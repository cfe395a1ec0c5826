"""What every command shares: where things are, how programs are run, and how a user's mistake is told."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import yaml

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "vllm"

#: Everything that is downloaded or built, outside the checkout so that a fresh clone starts warm.
CACHE = Path(
    os.environ.get("VLLM_CHART_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vllm-chart"
)
LOGS = CACHE / "logs"

VERSIONS: dict[str, Any] = tomllib.loads((ROOT / "ci" / "versions.toml").read_text())


class UserError(Exception):
    """Something that the person at the terminal can mend. The text says what, where and what to do."""

    exit_code = 1


class InputError(UserError):
    """What a command was given can't be used: a file, a name or a number."""

    exit_code = 2


class CommandError(UserError):
    """A program that this project ran has failed. `output` holds the end of what it printed."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        self.command, self.code, self.output = list(command), code, output
        tail = "\n".join(f"    {line}" for line in output.strip().splitlines()[-15:])
        super().__init__(f"`{' '.join(command[:4])}{' …' if len(command) > 4 else ''}` failed ({code}):\n{tail}")


def from_yaml(text: str) -> Any:
    """What a document of ours says; the library in C reads it six times faster than the one in Python."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (a safe loader)


def app_version() -> str:
    """The vLLM version that the chart deploys, e.g. `0.32.0`."""
    return str(from_yaml((CHART / "Chart.yaml").read_text())["appVersion"])


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
        raise UserError(f"The program `{words[0]}` isn't installed. Run `make tools`, or install it.") from None
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


@contextlib.contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A folder beside a file or folder, for the time of the block; clears away those of processes that were killed."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    for left in beside.parent.glob(f".{beside.name}.*.*"):
        if not Path(f"/proc/{left.name.split('.')[-2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{beside.name}.{os.getpid()}.", dir=beside.parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def product(path: Path) -> Iterator[Path]:
    """Make a file or folder of the cache whole or not at all.

    Yields a path to write to, on the same disk; it takes `path`'s place when the block ends without an error.
    """
    with scratch_folder(path) as folder:
        yield folder / path.name
        (folder / path.name).replace(path)


def forget_others(target: Path, pattern: str) -> None:
    """Delete what an earlier version of the project made in the same folder under other names."""
    for path in target.parent.glob(pattern):
        if path != target and not path.name.startswith("."):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def digest(*parts: str | Path) -> str:
    """Twelve hex digits that change when a text, a file or any file of a folder among `parts` changes."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for file in sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else [part]:
                total.update(file.relative_to(part.parent).as_posix().encode() + b"\0" + file.read_bytes())
        else:
            total.update(part.encode() + b"\0")
    return total.hexdigest()[:12]


def require_disk(gigabytes: float, purpose: str) -> None:
    """Raise `UserError` unless the cache's file system has that much room."""
    CACHE.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(CACHE).free / 1e9
    if free < gigabytes:
        raise UserError(
            f"{purpose} needs about {gigabytes:.0f} GB, and {CACHE} has {free:.1f} GB free: "
            "free some space, or set VLLM_CHART_CACHE to a folder on a larger disk."
        )


def generated(target: Path, build: Callable[[], str], command: str) -> int:
    """Write a generated file where it is not current, or with `--check` as the program's argument only tell.

    Args:
        target: the file.
        build: returns the text that it should have.
        command: what a reader runs to write it.

    Returns:
        The program's exit code, 1 where --check finds the file out of date.
    """
    text, name = build(), target.relative_to(ROOT)
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        print(f"{name} is not what its sources give: run `{command}`", file=sys.stderr)
        return 1
    target.write_text(text, encoding="utf-8")
    print(f"wrote {name}")
    return 0


def main(command: Callable[[], object], *, mistake: int = 1) -> NoReturn:
    """Run a command as a program: a user's mistake ends in one sentence and its exit code, Ctrl-C in 130."""
    try:
        command()
    except UserError as error:
        print(f"\n✗ {error}", file=sys.stderr)
        sys.exit(max(mistake, error.exit_code))
    except KeyboardInterrupt:
        print("\n✗ Interrupted. Nothing half-made is kept; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
