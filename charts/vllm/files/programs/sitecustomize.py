"""Python runs this first in each of the server's processes: what ends a start is kept for `kubectl describe pod`.

An engine's error is thousands of lines above the last line of the log, which only says that there was one; and the
first error, not the last, is the cause. vllm_lifecycle.py empties the file once the server is up.
A TERM ends a server that doesn't know yet how to stop, and each process ends as soon as its work has.
"""

import atexit
import logging
import multiprocessing.process as processes
import os
import signal
import sys
import threading

TERMINATION_LOG = "/dev/termination-log"
ENGINE = "vllm.v1.engine.core"
EXECUTOR = "vllm.v1.executor.multiproc_executor"
RAY_EXECUTOR = "vllm.v1.executor.ray_executor_v2"
# Records are recognized by logger, level and format string. Any other text in a log may come from a client.
# Format strings with which vLLM logs the exception that ends a process, by logger.
FATAL = {
    ENGINE: ("EngineCore failed to start.", "EngineCore encountered a fatal error."),
    EXECUTOR: ("WorkerProc failed to start.",),
}
# Those with which an engine logs that one of its workers was killed, e.g. because memory is short.
LOST = {
    EXECUTOR: ("Worker proc %s died unexpectedly (exit code: %s), shutting down executor.",),
    RAY_EXECUTOR: ("RayWorkerProc rank=%s died unexpectedly, shutting down executor.",),
}
PATIENCE = 30  # seconds in which an engine that lost a worker may end itself; while it starts, it waits indefinitely
LIMIT = 1000  # characters of one error; a message may have 4096 bytes in all

left = [None]  # what process 1 last gave sys.exit; vLLM raises SystemExit itself only with nothing in it


def reason(error):
    """One line for an error and for each that led to it, after the model, which some errors don't name."""
    lines = []
    while error is not None and len(lines) < 3:
        text = " ".join(str(error).split())
        lines.append(f"{type(error).__name__}: {text[:LIMIT]}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    model = sys.argv[2:3] if sys.argv[1:2] == ["serve"] else []  # which an engine's process has from its parent, too
    return ": ".join([*model, "\n".join(lines)])


def keep(error):
    """Write an error down, if it is the container's first and this is a process of the server."""
    if os.getpid() != 1 and processes.parent_process() is None:
        return  # something that a person runs beside the server
    try:
        if os.path.getsize(TERMINATION_LOG) == 0:
            with open(TERMINATION_LOG, "w") as file:
                file.write(reason(error)[: 3 * LIMIT])
    except OSError:
        pass  # no such file outside Kubernetes; nothing is worth more than the error itself


def is_one_of(made, known):
    """True for an error that vLLM itself logs with one of the known format strings."""
    return made.levelno >= logging.ERROR and isinstance(made.msg, str) and made.msg in known.get(made.name, ())


def starting():
    """True while this process constructs its engine; a started engine exits when it loses a worker."""
    frame = sys._current_frames().get(threading.main_thread().ident)
    while frame is not None:
        if frame.f_code.co_name == "__init__" and frame.f_globals.get("__name__") == ENGINE:
            return True
        frame = frame.f_back
    return False


def end_if_starting():
    if starting():
        os._exit(1)


def watch_log(make=logging.getLogRecordFactory()):
    """An engine's process logs the error that ends it, or should, and the API server then dies of another."""

    def record(*arguments, **options):
        made = make(*arguments, **options)
        if is_one_of(made, FATAL) and made.exc_info and made.exc_info[1]:
            keep(made.exc_info[1])
        elif is_one_of(made, LOST):
            keep(RuntimeError(made.getMessage()))
            if starting():
                end = threading.Timer(PATIENCE, end_if_starting)
                end.daemon = True
                end.start()
        return made

    logging.setLogRecordFactory(record)


def watch_end(show=sys.excepthook):
    """What nobody caught ends a process; an interruption is a stop and no error."""

    def ended(kind, error, traceback):
        if isinstance(error, Exception):
            keep(error)
        left.clear()
        show(kind, error, traceback)

    sys.excepthook = ended


def end_on_term():
    """A TERM ends a server that is still far from its own handler, which the kernel would keep from process 1.

    An exception wouldn't: libraries that are being imported catch any.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))


def end_at_once():
    """A process of the server ends when its work has, and doesn't take its modules apart first.

    That takes 2 s of a core each, for one after the other, while a successor wants the same cores.
    """
    if os.getpid() == 1:
        leave = sys.exit

        def leaves(code=None):
            left[:] = [code]
            leave(code)

        sys.exit = leaves
        atexit.register(end_as_left)  # as the first, which runs after all others
        return
    if sys.orig_argv[-1:] != ["--multiprocessing-fork"]:  # by which multiprocessing knows those that it spawned
        return
    from multiprocessing import spawn

    def main(*arguments, run=spawn._main):
        code = run(*arguments)
        atexit._run_exitfuncs()
        os._exit(code)

    spawn._main = main


def end_as_left():
    """Ends process 1 with the code that it gave sys.exit; of an error that nobody caught, Python knows it."""
    for code in left:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


watch_log()
watch_end()
end_on_term()
end_at_once()
