"""Middleware of vLLM's API server, for what vLLM leaves to its surroundings when a server starts, hangs or stops.

Start: the port opens only after one request has been answered, if settings.json beside this file names one.
Run: adapters are loaded with a key only, as vLLM asks for none at /adapters.
Hang: /health fails when requests are open and the engine has shown no progress for the time that settings.json gives.
Stop: in every state of the drain an answer closes its connection; from `closing` on, idle connections are closed, too;
from `refusing` on, no new connection is accepted. prestop.py describes the states.
"""

import asyncio
import json
import logging
import os
import time
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.mmap_dict import MmapedDict

SETTINGS = Path(__file__).with_name("settings.json")
STATE_FILE = Path("/tmp/drain")  # the drain state, written by prestop.py; no file while the server serves
STATES = DRAINING, CLOSING, REFUSING = "draining", "closing", "refusing"
TERMINATION_LOG = Path("/dev/termination-log")  # shown by `kubectl describe`
MARGIN = 10  # seconds that a failed warm-up leaves of the time for a start
RUNNING = "vllm:num_requests_running"
# What an engine reports with each step. The first counts only steps that made a token, and a long prompt takes many.
STEP = ("vllm:iteration_tokens_total_count", "vllm:kv_cache_usage_perc", "vllm:num_requests_waiting", RUNNING)
logger = logging.getLogger("vllm.lifecycle")


def age():
    """Seconds since the container started."""
    ticks = int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def route_path(scope):
    """Path by which Starlette finds a route: it takes the root path off by whole segments, never out of one."""
    path, root = scope["path"], scope.get("root_path") or ""
    return path[len(root) :] if root and f"{path}/".startswith(f"{root}/") else path


class Lifecycle:
    """ASGI middleware; one for each API server process."""

    def __init__(self, app):
        settings = json.loads(SETTINGS.read_text())
        self.app = app
        self.warmup = settings.get("warmup")
        self.stall = Stall(settings["stallTimeoutSeconds"])
        self.unanswered = 0
        self.state = ""
        # one of several API servers shares the port with the process that started it, and can't close it
        self.shares = parent_process() is not None

    async def __call__(self, scope, receive, send):
        handle = {"lifespan": self.lifespan, "http": self.http}.get(scope["type"], self.app)
        await handle(scope, receive, send)

    async def http(self, scope, receive, send):
        if refusal := self.refusal(scope):
            status, reason = refusal
            await send({"type": "http.response.start", "status": status, "headers": [(b"connection", b"close")]})
            await send({"type": "http.response.body", "body": reason})
            return
        asks = scope["method"] == "POST"
        waits = False

        async def whole():
            nonlocal asks, waits
            message = await receive()
            # until then the server waits for the client
            if asks and message["type"] == "http.request" and not message.get("more_body"):
                asks, waits = False, True
                self.unanswered += 1
            return message

        async def watched(message):
            nonlocal asks, waits
            if message["type"] == "http.response.start" and self.state in STATES:
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            elif message["type"] == "http.response.body":
                self.unanswered -= waits
                asks = waits = False
            await send(message)

        try:
            await self.app(scope, whole, watched)
        finally:
            self.unanswered -= waits

    def refusal(self, scope):
        """Status and text of the answer to a request that isn't passed on, or nothing."""
        path = route_path(scope)
        if path.startswith("/adapters"):
            return 404, b"adapters are loaded by /v1/load_lora_adapter, which wants a key; here vLLM would ask for none\n"
        if self.stall.found and path == "/health":
            return 503, b"the engine makes no progress\n"
        if self.shares and self.state == REFUSING:
            return 503, b"the server stops\n"
        return None

    async def lifespan(self, scope, receive, send):
        async def warm_first(message):
            if message["type"] == "lifespan.startup.complete":
                STATE_FILE.unlink(missing_ok=True)  # /tmp outlives a container that was restarted
                if reason := await self.warm_up(scope["app"]):
                    with suppress(OSError):
                        TERMINATION_LOG.write_text(reason)
                    message = {"type": "lifespan.startup.failed", "message": reason}
                else:
                    with suppress(OSError):
                        TERMINATION_LOG.write_text("")  # what sitecustomize.py kept was survived
                    self.watching = asyncio.create_task(self.watch(scope["app"].state.server))
            await send(message)

        await self.app(scope, receive, warm_first)

    async def warm_up(self, app):
        """Ask what settings.json says; returns why that failed."""
        if not self.warmup:
            return None
        path = self.warmup["path"]
        # one that hangs ends before the startup probe ends the container, which would say no more than that it isn't up
        seconds = max(1, self.warmup["startSeconds"] - age() - MARGIN)
        logger.info("Warm-up: POST %s", path)
        try:
            question = self.ask(app, path, json.dumps(self.warmup["body"]).encode())
            status, answer = await asyncio.wait_for(question, seconds)
        except TimeoutError:
            return f"Warm-up failed: POST {path} wasn't answered in the {seconds:.0f} s that the start had left"
        except Exception as error:
            logger.exception("Warm-up")
            status, answer = 500, repr(error)
        if status != 200:
            return f"Warm-up failed: POST {path} was answered with {status}: {answer[:1000]}"
        logger.info("Warm-up: done")
        return None

    async def ask(self, app, path, body):
        """A request from inside, which needs no port and no certificate; returns the status and the answer."""
        headers = {"host": "localhost", "content-type": "application/json", "content-length": str(len(body))}
        if key := next(iter(app.state.args.api_key or ()), os.environ.get("VLLM_API_KEY")):
            headers["authorization"] = f"Bearer {key}"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
            "app": app,
            "state": {},
        }
        sent = False
        status = 0
        answer = b""

        async def receive():
            nonlocal sent
            if sent:
                await asyncio.Event().wait()  # the client stays
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            nonlocal status, answer
            status = message.get("status", status)
            answer += message.get("body", b"")

        await self.app(scope, receive, send)
        return status, answer.decode(errors="replace")

    async def watch(self, server):
        """Look every second at the drain state and whether the engines move."""
        while True:
            await asyncio.sleep(1)
            try:
                self.state = STATE_FILE.read_text() if STATE_FILE.exists() else ""
                if self.state in (CLOSING, REFUSING):
                    for connection in list(server.server_state.connections):
                        if hasattr(connection, "cycle"):  # not a WebSocket, which would be cut
                            connection.shutdown()
                if self.state == REFUSING and not self.shares:
                    for listener in server.servers:
                        listener.close()
                self.stall.look(self.unanswered)
            except Exception:
                logger.exception("Lifecycle")


def last_steps():
    """Engine to the requests that it runs, and to something that differs after each of its steps.

    Of several API servers an engine reports each step to only one, and their metrics lie in files that they share: there
    the last report counts, whoever got it.
    """
    steps = {}
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        for file in Path(folder).glob("gauge_mostrecent_*.db"):
            for key, running, reported, _ in MmapedDict.read_all_values_from_file(file):
                _, name, labels, _ = json.loads(key)
                if name == RUNNING and reported > steps.get(labels["engine"], (0, -1))[1]:
                    steps[labels["engine"]] = running, reported
        return steps
    for metric in REGISTRY.restricted_registry(STEP).collect():
        for sample in metric.samples:
            steps.setdefault(sample.labels.get("engine"), {})[sample.name] = sample.value
    return {engine: (values.get(RUNNING), values) for engine, values in steps.items()}


class Stall:
    """True if an engine has pending requests and makes no progress.

    Counts looks, one a second, instead of reading a clock: a process that was itself frozen doesn't look.
    """

    def __init__(self, timeout):
        self.timeout = timeout
        self.seen = {}
        self.looks = {}
        self.found = False

    def look(self, unanswered):
        """Compare every engine with the last look; `unanswered` requests wait for the first byte of their answer."""
        if not self.timeout:
            return
        steps = last_steps()
        idle = not any(running for running, _ in steps.values())
        for engine, (running, step) in steps.items():
            # an engine that stopped while it was idle never says that it runs a request
            busy = running or (idle and unanswered)
            same = (running, step) == self.seen.get(engine)
            self.looks[engine] = self.looks.get(engine, 0) + 1 if busy and same else 0
        self.seen = steps
        found = any(looks >= self.timeout for looks in self.looks.values())
        if found and not self.found:
            logger.error("Requests are open, and no engine step was seen for %s s: /health fails", self.timeout)
        self.found = found
