"""sitecustomize.py: `kubectl describe` shows the error that ends a server; how the engine's processes end."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import multiprocessing.process
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from vllm_chart.chart import CHART

Kept = Callable[[], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module in a process that is one of the server's, with a file of its own to write to."""
    factory, hook = logging.getLogRecordFactory(), sys.excepthook
    monkeypatch.setattr(multiprocessing.process, "parent_process", lambda: SimpleNamespace(name="MainProcess"))
    spec = importlib.util.spec_from_file_location(
        "chart_sitecustomize", CHART / "files" / "programs" / "sitecustomize.py"
    )
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    (tmp_path / "termination-log").touch()
    monkeypatch.setattr(loaded, "TERMINATION_LOG", str(tmp_path / "termination-log"))
    yield loaded
    logging.setLogRecordFactory(factory)
    sys.excepthook = hook


@pytest.fixture
def kept(module: ModuleType) -> Kept:
    """What the file says."""
    return lambda: Path(module.TERMINATION_LOG).read_text(encoding="utf-8")


CORE = "vllm.v1.engine.core"
EXECUTOR = "vllm.v1.executor.multiproc_executor"
RAY_EXECUTOR = "vllm.v1.executor.ray_executor_v2"

#: Format strings and arguments with which vLLM logs that an engine lost a worker.
LOST = "Worker proc %s died unexpectedly (exit code: %s), shutting down executor."
LOST_ARGUMENTS = ("VllmWorker-0", None)
RAY_LOST = "RayWorkerProc rank=%s died unexpectedly, shutting down executor."


def _log(message: str, error: Exception, logger: str = CORE, level: int = logging.ERROR) -> None:
    try:
        raise error
    except Exception:
        logging.getLogger(logger).log(level, message, exc_info=True)


def _end(error: Exception) -> None:
    try:
        raise error
    except Exception:
        sys.excepthook(*sys.exc_info())


def test_the_engines_error_is_kept_and_not_what_it_led_to(kept: Kept) -> None:
    _log("EngineCore failed to start.", ValueError("No available memory\nfor the cache blocks"))
    _end(RuntimeError("Engine core initialization failed. See root cause above."))
    assert kept() == "ValueError: No available memory for the cache blocks"


def test_an_error_nobody_caught_is_kept_with_its_cause(kept: Kept) -> None:
    error = OSError("no-such/model is not a local folder")
    error.__cause__ = FileNotFoundError("config.json")
    _end(error)
    assert kept() == "OSError: no-such/model is not a local folder\nFileNotFoundError: config.json"


def test_the_model_is_named(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/vllm", "serve", "no-such/model", "--port=8000"])
    _end(OSError("Cannot find an appropriate cached snapshot folder"))
    assert kept() == "no-such/model: OSError: Cannot find an appropriate cached snapshot folder"


@pytest.mark.parametrize(
    ("logger", "message"),
    [
        (CORE, "EngineCore failed to start."),
        (CORE, "EngineCore encountered a fatal error."),
        (EXECUTOR, "WorkerProc failed to start."),
    ],
)
def test_error_that_vllm_logs_before_a_process_ends_is_kept(kept: Kept, logger: str, message: str) -> None:
    _log(message, ValueError("no memory"), logger)
    assert kept() == "ValueError: no memory"


@pytest.mark.parametrize(
    ("logger", "level", "message"),
    [
        (CORE, logging.ERROR, "Invocation of add_lora method failed"),
        (CORE, logging.ERROR, "Request with the prompt 'EngineCore failed to start.' was aborted"),
        (CORE, logging.WARNING, "EngineCore failed to start."),
        ("vllm.tool_parsers.utils", logging.ERROR, "EngineCore encountered a fatal error."),
        ("root", logging.ERROR, "WorkerProc failed to start."),
    ],
)
def test_error_in_any_other_log_record_is_not_kept(kept: Kept, logger: str, level: int, message: str) -> None:
    _log(message, ValueError("from a client"), logger, level)
    assert kept() == ""


ENGINE_SOURCE = """
class EngineCore:
    def __init__(self, construct):
        construct()

    def run_busy_loop(self, work):
        work()
"""


@pytest.fixture
def ends(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> queue.Queue[int]:
    """The codes with which the module ends the process, 0.01 s after the loss of a worker."""
    ended: queue.Queue[int] = queue.Queue()
    monkeypatch.setattr(os, "_exit", ended.put)
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    return ended


@pytest.fixture
def engine() -> Any:
    """A class with the name and module of vLLM's engine, which calls what it is given."""
    names: dict[str, Any] = {"__name__": CORE}
    exec(ENGINE_SOURCE, names)  # noqa: S102 # a function knows its module by these names
    return names["EngineCore"]


def _ended_within(ends: queue.Queue[int], seconds: float) -> int | None:
    with contextlib.suppress(queue.Empty):
        return ends.get(timeout=seconds)
    return None


Construct = Callable[[Callable[[], None], float], int | None]


@pytest.fixture
def construct(engine: Any, ends: queue.Queue[int]) -> Construct:
    """Construct an engine that does something and then waits some seconds, and return the code with which it ended."""

    def construct(work: Callable[[], None], seconds: float) -> int | None:
        codes: list[int | None] = []

        def load() -> None:
            work()
            codes.append(_ended_within(ends, seconds))

        engine(load)
        return codes[0]

    return construct


@pytest.mark.parametrize(
    ("logger", "record", "text"),
    [
        (EXECUTOR, (LOST, *LOST_ARGUMENTS), LOST % LOST_ARGUMENTS),
        (RAY_EXECUTOR, (RAY_LOST, [1]), "RayWorkerProc rank=[1] died unexpectedly, shutting down executor."),
    ],
    ids=["multiprocessing", "ray"],
)
def test_starting_engine_that_lost_a_worker_ends_and_says_so(
    kept: Kept, construct: Construct, logger: str, record: tuple[Any, ...], text: str
) -> None:
    assert construct(lambda: logging.getLogger(logger).error(*record), 10) == 1
    assert kept() == f"RuntimeError: {text}"


@pytest.mark.parametrize(
    ("logger", "level", "record"),
    [
        # a client's text in an f-string of a tool parser, and the body of a request in a debug log
        ("vllm.tool_parsers.utils", logging.ERROR, ("the worker died unexpectedly",)),
        ("vllm.tool_parsers.utils", logging.ERROR, (LOST, *LOST_ARGUMENTS)),
        ("model_hosting_container_standards", logging.DEBUG, ('{"prompt": "died unexpectedly"}',)),
        (EXECUTOR, logging.WARNING, (LOST, *LOST_ARGUMENTS)),
        (EXECUTOR, logging.ERROR, (f"Worker failed with '{LOST}'", *LOST_ARGUMENTS)),
        (EXECUTOR, logging.ERROR, (LOST % LOST_ARGUMENTS,)),
        (EXECUTOR, logging.ERROR, ("Worker failed with error '%s'", LOST)),
        (EXECUTOR, logging.ERROR, (["no", "text"],)),
    ],
)
def test_any_other_log_record_ends_nothing(
    kept: Kept, construct: Construct, logger: str, level: int, record: tuple[Any, ...]
) -> None:
    source = logging.getLogger(logger)
    source.setLevel(logging.DEBUG)
    try:
        assert construct(lambda: source.log(level, *record), 0.2) is None
    finally:
        source.setLevel(logging.NOTSET)
    assert kept() == ""


def test_started_engine_that_lost_a_worker_is_left_to_vllm(kept: Kept, ends: queue.Queue[int], engine: Any) -> None:
    engine(lambda: None).run_busy_loop(lambda: logging.getLogger(EXECUTOR).error(LOST, *LOST_ARGUMENTS))
    assert _ended_within(ends, 0.2) is None
    assert "died unexpectedly" in kept()


def test_start_that_completes_after_the_loss_of_a_worker_is_not_ended(
    module: ModuleType, ends: queue.Queue[int], engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    started = engine(lambda: logging.getLogger(EXECUTOR).error(LOST, *LOST_ARGUMENTS))
    code = []
    started.run_busy_loop(lambda: code.append(_ended_within(ends, 1)))
    assert code == [None]


def test_a_stop_is_no_error(module: ModuleType, kept: Kept) -> None:
    shown = []
    module.watch_end(show=lambda *error: shown.append(error))
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert shown
    assert kept() == ""


def test_what_a_person_runs_beside_the_server_is_not_kept(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing.process, "parent_process", lambda: None)
    _end(ValueError("mine"))
    assert kept() == ""


def test_a_long_error_is_cut(kept: Kept) -> None:
    _end(ValueError("x" * 5000))
    assert 900 < len(kept()) < 1100


def test_a_machine_without_the_file_shows_the_error_as_ever(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TERMINATION_LOG", "/no/such/file")
    shown = []
    module.watch_end(show=lambda *error: shown.append(error))
    _end(ValueError("mine"))
    assert shown


@pytest.mark.parametrize("process", [1, 7])
def test_a_stop_ends_the_first_process_while_it_imports_what_catches_any_exception(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, process: int
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "getpid", lambda: process)
    monkeypatch.setattr(os, "_exit", ended.append)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        module.end_on_term()
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == ([143] if process == 1 else [])


ENGINE = """
import atexit, multiprocessing, sys

class Module:
    def __del__(self):
        print("taken apart", flush=True)

def work():
    multiprocessing.module = Module()
    atexit.register(print, "goodbye", flush=True)
    sys.exit(7)

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "goodbye taken apart"), (str(CHART / "files" / "programs"), "goodbye")],
    ids=["alone", "with the chart's files"],  # no path, which differs for each copy of the chart
)
def test_a_process_of_the_engine_ends_with_its_code_and_isnt_taken_apart(tmp_path: Path, path: str, said: str) -> None:
    script = tmp_path / "engine.py"
    script.write_text(ENGINE, encoding="utf-8")
    # bytecode beside the chart's files would be another chart, of which no render is kept
    environment = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run([sys.executable, script], env=environment, check=False, capture_output=True, text=True)
    assert (ended.stdout.split(), ended.returncode, ended.stderr) == (said.split(), 7, "")


SERVER = """
import atexit, json, os, sys

os.getpid = lambda: PROCESS
sys.path.insert(0, FILES)
import sitecustomize

class Module:
    def __del__(self):
        print("taken apart", flush=True)

json.module = Module()
atexit.register(print, "goodbye")
END
"""
CAUGHT = "try: sys.exit(5)\nexcept SystemExit: pass\n"


@pytest.mark.parametrize(
    ("end", "code", "said", "told"),
    [
        ("sys.exit(7)", 7, "goodbye", ""),
        ("sys.exit()", 0, "goodbye", ""),
        ("sys.exit('no model')", 1, "goodbye", "no model"),
        (f"{CAUGHT}sys.exit(7)", 7, "goodbye", ""),
        (f"{CAUGHT}raise ValueError('no model')", 1, "goodbye taken apart", "ValueError: no model"),  # by Python
        ("raise SystemExit", 0, "goodbye", ""),
        ("", 0, "goodbye", ""),
    ],
)
def test_the_first_process_ends_with_its_code_and_after_an_exit_isnt_taken_apart(
    end: str, code: int, said: str, told: str
) -> None:
    ended = _ended(1, end)
    assert (ended.stdout.split(), ended.returncode) == (said.split(), code)
    assert ended.stderr.strip().endswith(told)


def test_another_process_that_is_none_of_the_engines_ends_as_python_does() -> None:
    ended = _ended(2, "sys.exit(7)")
    assert (ended.stdout.split(), ended.returncode, ended.stderr) == (["goodbye", "taken", "apart"], 7, "")


def _ended(process: int, end: str) -> subprocess.CompletedProcess[str]:
    """How a Python ends that takes itself for a process and has the chart's files."""
    filled = {"PROCESS": str(process), "FILES": repr(str(CHART / "files" / "programs")), "END": end}
    script = SERVER
    for word, text in filled.items():
        script = script.replace(word, text)
    return subprocess.run([sys.executable, "-S", "-B", "-c", script], check=False, capture_output=True, text=True)
