"""The server's middleware, run around a small application as vLLM's API server runs it around its own."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from vllm_chart.chart import CHART
from vllm_chart.render import helm

FILES = CHART / "files" / "programs"
Make = Callable[..., Any]


class Registry:
    """The metrics of one process: engine to metric to value."""

    def __init__(self) -> None:
        self.engines: dict[str, dict[str, float]] = {"0": {}}

    def restricted_registry(self, names: tuple[str, ...]) -> SimpleNamespace:
        samples = [
            SimpleNamespace(name=name, labels={"engine": engine}, value=value)
            for engine, values in self.engines.items()
            for name, value in values.items()
            if name in names
        ]
        return SimpleNamespace(collect=lambda: [SimpleNamespace(samples=samples)])


@pytest.fixture
def registry() -> Registry:
    return Registry()


Row = tuple[str, float, float, int]


class Shared:
    """The files in which several API servers keep their gauges; each line is what prometheus_client reads of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def report(self, server: int, time: float, **running: float) -> None:
        """Write what engines reported to a server at a time: how many requests each runs."""
        keys = [["num_requests_running", RUNNING, {"engine": engine}, "Help."] for engine in running]
        rows = [(json.dumps(key), value, time, 8) for key, value in zip(keys, running.values(), strict=True)]
        (self.folder / f"gauge_mostrecent_{server}.db").write_text(json.dumps(rows))

    @staticmethod
    def read_all_values_from_file(file: Path) -> Iterator[Row]:
        """As prometheus_client's MmapedDict does."""
        return (tuple(row) for row in json.loads(file.read_text()))


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shared:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return Shared(tmp_path)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry) -> ModuleType:
    """The middleware's module in a folder of its own, so that settings.json can lie beside it."""
    source = tmp_path / "vllm_lifecycle.py"
    source.write_text((FILES / source.name).read_text(encoding="utf-8"))
    monkeypatch.setitem(sys.modules, "prometheus_client", SimpleNamespace(REGISTRY=registry))
    monkeypatch.setitem(sys.modules, "prometheus_client.mmap_dict", SimpleNamespace(MmapedDict=Shared))
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    spec = importlib.util.spec_from_file_location("vllm_lifecycle", source)
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setattr(loaded, "STATE_FILE", tmp_path / "drain")
    monkeypatch.setattr(loaded, "TERMINATION_LOG", tmp_path / "termination-log")
    loaded.real_age = loaded.age  # type: ignore[attr-defined]
    monkeypatch.setattr(loaded, "age", lambda: 0)
    return loaded


class Application:
    """An application that answers with a status, and remembers what it was asked."""

    def __init__(self, status: int = 200, body: bytes = b"{}") -> None:
        self.status, self.body = status, body
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.state = SimpleNamespace(args=SimpleNamespace(api_key=None), server=SimpleNamespace())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        message = await receive()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["path"], headers, json.loads(message["body"] or b"null")))
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": self.body})


@pytest.fixture
def make(module: ModuleType, tmp_path: Path) -> Make:
    """Makes the middleware around an application, with settings."""

    def lifecycle(application: Any, **settings: Any) -> Any:
        (tmp_path / "settings.json").write_text(json.dumps({"stallTimeoutSeconds": 0} | settings))
        return module.Lifecycle(application)

    return lifecycle


async def _exchange(
    lifecycle: Any, path: str, method: str = "GET", root_path: str = "", pieces: int = 1
) -> list[dict[str, Any]]:
    """What the server sends; the body of the request comes in pieces."""
    sent: list[dict[str, Any]] = []
    left = pieces

    async def receive() -> dict[str, Any]:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": b"", "more_body": left > 0}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "root_path": root_path, "method": method, "headers": []}
    await lifecycle(scope, receive, send)
    return sent


async def _start(lifecycle: Any, application: Application) -> dict[str, Any]:
    """What the server is told about its start."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await lifecycle({"type": "lifespan", "app": application}, receive, send)
    (message,) = sent
    return message


class Connection:
    """One of uvicorn's; `kind` is the attribute by which an HTTP connection is known."""

    def __init__(self, kind: str) -> None:
        setattr(self, kind, None)
        self.shut = False

    def shutdown(self) -> None:
        self.shut = True


class Listener:
    """One of uvicorn's sockets that accept connections."""

    closed = False

    def close(self) -> None:
        self.closed = True


def _look(lifecycle: Any, *connections: Connection, listeners: Sequence[Listener] = ()) -> None:
    """Let the middleware look at its surroundings once."""

    async def once() -> None:
        state = SimpleNamespace(connections=set(connections))
        server = SimpleNamespace(server_state=state, servers=listeners)
        task = asyncio.create_task(lifecycle.watch(server))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(once())


@pytest.fixture
def no_pause(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep

    async def sleep(_: float) -> None:
        await real(0)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)


@pytest.mark.usefixtures("no_pause")
def test_answers_close_their_connection_while_draining(make: Make, module: ModuleType) -> None:
    lifecycle = make(Application())
    _look(lifecycle)
    assert asyncio.run(_exchange(lifecycle, "/v1/models"))[0]["headers"] == []
    module.STATE_FILE.write_text("draining")
    kept = Connection("cycle")
    _look(lifecycle, kept)
    assert asyncio.run(_exchange(lifecycle, "/v1/models"))[0]["headers"] == [(b"connection", b"close")]
    assert not kept.shut, "an idle connection is still welcome"


@pytest.mark.usefixtures("no_pause")
def test_idle_connections_are_closed_while_closing_but_not_websockets(make: Make, module: ModuleType) -> None:
    lifecycle = make(Application())
    module.STATE_FILE.write_text("closing")
    kept, websocket = Connection("cycle"), Connection("handshake")
    _look(lifecycle, kept, websocket)
    assert kept.shut
    assert not websocket.shut


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("state", ["closing", "refusing"])
def test_no_new_connection_is_accepted_while_refusing(make: Make, module: ModuleType, state: str) -> None:
    lifecycle, listener, kept = make(Application()), Listener(), Connection("cycle")
    module.STATE_FILE.write_text(state)
    _look(lifecycle, kept, listeners=[listener])
    assert kept.shut
    assert listener.closed == (state == "refusing")
    answer, *_ = asyncio.run(_exchange(lifecycle, "/v1/models"))
    assert answer["status"] == 200, "what came before is answered"


@pytest.mark.usefixtures("no_pause")
def test_one_of_several_api_servers_answers_503_instead_of_closing_a_port_that_it_shares(
    make: Make, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "parent_process", object)
    lifecycle, listener = make(Application()), Listener()
    module.STATE_FILE.write_text("refusing")
    _look(lifecycle, listeners=[listener])
    assert not listener.closed
    answer, *_ = asyncio.run(_exchange(lifecycle, "/v1/chat/completions", "POST"))
    assert (answer["status"], answer["headers"]) == (503, [(b"connection", b"close")])


def test_the_drain_state_of_an_earlier_container_is_deleted(make: Make, module: ModuleType) -> None:
    module.STATE_FILE.write_text("closing")
    application = Application()
    assert asyncio.run(_start(make(application), application)) == {"type": "lifespan.startup.complete"}
    assert not module.STATE_FILE.exists()


@pytest.mark.parametrize("root_path", ["", "/llm"])
@pytest.mark.parametrize(
    ("method", "path"),
    # as Starlette's routes see them: what is encoded is decoded, and a line end at the end of a path matches, too
    [("POST", "/adapters"), ("POST", "/adapters/"), ("POST", "/adapters\n"), ("DELETE", "/adapters/late")],
)
def test_nobody_loads_an_adapter_where_vllm_asks_for_no_key(make: Make, root_path: str, method: str, path: str) -> None:
    application = Application()
    for asked in {path, root_path + path}:
        answer, text = asyncio.run(_exchange(make(application), asked, method, root_path))
        assert answer["status"] == 404
        assert b"/v1/load_lora_adapter" in text["body"]
    assert not application.asked


@pytest.mark.parametrize(("root_path", "path"), [("", "/v1/adapters"), ("/adapters", "/adapters/v1/models")])
def test_paths_that_only_look_like_it_are_answered(make: Make, root_path: str, path: str) -> None:
    assert asyncio.run(_exchange(make(Application()), path, root_path=root_path))[0]["status"] == 200


@pytest.mark.parametrize("root_path", ["/a", "/adapter", "/adapters/l"])
@pytest.mark.parametrize("path", ["/adapters", "/adapters/late"])
def test_root_path_that_begins_a_guarded_path_unguards_nothing(make: Make, root_path: str, path: str) -> None:
    application = Application()
    answer, _ = asyncio.run(_exchange(make(application), path, "POST", root_path))
    assert answer["status"] == 404
    assert not application.asked


@pytest.mark.parametrize(
    ("root_path", "path", "expected"),
    [
        ("", "/llm/health", "/llm/health"),
        (None, "/health", "/health"),
        ("/llm", "/health", "/health"),
        ("/llm", "/llm/health", "/health"),
        ("/llm", "/llm", ""),
        ("/llm", "/llm/", "/"),
        ("/llm", "/llm/llm/health", "/llm/health"),
        ("/llm", "/llmhealth", "/llmhealth"),
        ("/a", "/adapters", "/adapters"),
    ],
)
def test_path_is_read_as_starlette_reads_it(
    module: ModuleType, root_path: str | None, path: str, expected: str
) -> None:
    """As get_route_path of Starlette 1.10 answers."""
    assert module.route_path({"path": path, "root_path": root_path}) == expected


WARMUP = {"path": "/v1/chat/completions", "body": {"model": "m", "messages": []}, "startSeconds": 1800}


@pytest.mark.parametrize("keys", [None, ["first", "second"]])
def test_the_warm_up_asks_once_with_the_key_before_the_start_is_complete(
    make: Make, monkeypatch: pytest.MonkeyPatch, keys: list[str] | None
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "from-environment")
    application = Application()
    application.state.args.api_key = keys
    assert asyncio.run(_start(make(application, warmup=WARMUP), application)) == {"type": "lifespan.startup.complete"}
    ((path, headers, body),) = application.asked
    assert (path, body) == (WARMUP["path"], WARMUP["body"])
    assert headers["authorization"] == f"Bearer {keys[0] if keys else 'from-environment'}"


def test_without_a_key_the_warm_up_sends_none(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    application = Application()
    asyncio.run(_start(make(application, warmup=WARMUP), application))
    assert "authorization" not in application.asked[0][1]


def test_a_failed_warm_up_ends_the_start_with_the_answer_in_the_last_state(make: Make, module: ModuleType) -> None:
    application = Application(404, b'{"message": "no such model"}')
    message = asyncio.run(_start(make(application, warmup=WARMUP), application))
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"] == module.TERMINATION_LOG.read_text()
    assert "POST /v1/chat/completions was answered with 404" in message["message"]
    assert "no such model" in message["message"]


def test_a_warm_up_that_raises_ends_the_start_too(make: Make) -> None:
    class Broken(Application):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                raise ValueError("no engine")
            await super().__call__(scope, receive, send)

    application = Broken()
    message = asyncio.run(_start(make(application, warmup=WARMUP), application))
    assert message["type"] == "lifespan.startup.failed"
    assert "no engine" in message["message"]


class Silent(Application):
    """An application that takes requests and never answers."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await asyncio.Event().wait()
        await super().__call__(scope, receive, send)


def test_a_warm_up_that_hangs_ends_before_the_startup_probe_does(
    make: Make, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "age", lambda: 1789)  # of the 1800 seconds that the probe gives
    application = Silent()
    message = asyncio.run(asyncio.wait_for(_start(make(application, warmup=WARMUP), application), 30))
    assert message["type"] == "lifespan.startup.failed"
    reason = "Warm-up failed: POST /v1/chat/completions wasn't answered in the 1 s that the start had left"
    assert message["message"] == module.TERMINATION_LOG.read_text() == reason


@pytest.mark.skipif(sys.platform != "linux", reason="the age is read in /proc")
def test_the_age_of_a_container_is_that_of_its_first_process(module: ModuleType) -> None:
    age = module.real_age()
    assert 0 < age < time.clock_gettime(time.CLOCK_BOOTTIME)
    assert module.real_age() > age


RUNNING, COUNT, USAGE = (
    "vllm:num_requests_running",
    "vllm:iteration_tokens_total_count",
    "vllm:kv_cache_usage_perc",
)


def _looks(lifecycle: Any, number: int, unanswered: int = 0) -> bool:
    for _ in range(number):
        lifecycle.stall.look(unanswered)
    return bool(lifecycle.stall.found)


def test_an_engine_that_runs_requests_without_a_step_is_stalled(make: Make, registry: Registry) -> None:
    lifecycle = make(Application(), stallTimeoutSeconds=5)
    registry.engines["0"] = {RUNNING: 2, COUNT: 10, USAGE: 0.1}
    assert not _looks(lifecycle, 5)
    assert _looks(lifecycle, 1)
    for path in ("/health", "/llm/health"):
        assert asyncio.run(_exchange(lifecycle, path, root_path="/llm"))[0]["status"] == 503
    assert asyncio.run(_exchange(lifecycle, "/v1/models/health"))[0]["status"] == 200
    assert asyncio.run(_exchange(lifecycle, "/v1/models"))[0]["status"] == 200
    registry.engines["0"][COUNT] = 11
    assert not _looks(lifecycle, 1), "a step is a step, however late"
    assert asyncio.run(_exchange(lifecycle, "/health"))[0]["status"] == 200


@pytest.mark.parametrize("metric", [COUNT, USAGE])
def test_a_busy_engine_is_never_stalled(make: Make, registry: Registry, metric: str) -> None:
    lifecycle = make(Application(), stallTimeoutSeconds=2)
    for step in range(50):  # a long prompt fills the cache for many steps before its first token
        registry.engines["0"] = {RUNNING: 256, COUNT: 10, USAGE: 0.1} | {metric: 11 + step}
        assert not _looks(lifecycle, 1)


def test_an_idle_engine_is_not_stalled_unless_a_request_waits_for_it(make: Make, registry: Registry) -> None:
    lifecycle = make(Application(), stallTimeoutSeconds=5)
    registry.engines["0"] = {RUNNING: 0, COUNT: 10}
    assert not _looks(lifecycle, 50)
    assert _looks(lifecycle, 6, unanswered=1)


def test_one_stalled_engine_is_seen_beside_one_that_moves(make: Make, registry: Registry) -> None:
    lifecycle = make(Application(), stallTimeoutSeconds=5)
    found = []
    for step in range(7):
        registry.engines = {"0": {RUNNING: 1, COUNT: step}, "1": {RUNNING: 1, COUNT: 10}}
        found.append(_looks(lifecycle, 1))
    assert found == [False] * 5 + [True] * 2


def test_what_an_engine_reports_to_any_of_several_servers_is_a_step(make: Make, shared: Shared) -> None:
    """It reports each step to one of them: for the others it runs what it last ran for them."""
    lifecycle = make(Application(), stallTimeoutSeconds=5)
    shared.report(1, 100, engine0=1)
    for step in range(20):
        shared.report(2, 101 + step, engine0=1)
        assert not _looks(lifecycle, 1, unanswered=1)
    shared.report(2, 200, engine0=0)
    assert not _looks(lifecycle, 50), "an idle engine is not stalled"
    assert _looks(lifecycle, 6, unanswered=1)


def test_an_engine_that_reports_to_none_of_several_servers_is_stalled(make: Make, shared: Shared) -> None:
    lifecycle = make(Application(), stallTimeoutSeconds=5)
    shared.report(1, 100, engine0=0, engine1=1)
    found = []
    for step in range(7):
        shared.report(2, 101 + step, engine0=1)
        found.append(_looks(lifecycle, 1))
    assert found == [False] * 5 + [True] * 2


def test_several_servers_before_their_engine_has_reported_anything(make: Make, shared: Shared) -> None:
    lifecycle = make(Application(), stallTimeoutSeconds=5)
    shared.report(1, 0, engine0=0)
    assert not _looks(lifecycle, 50)
    assert _looks(lifecycle, 6, unanswered=1)


def test_a_timeout_of_zero_never_finds_a_stall(make: Make, registry: Registry) -> None:
    registry.engines["0"] = {RUNNING: 2, COUNT: 10}
    assert not _looks(make(Application(), stallTimeoutSeconds=0), 1000)


def test_requests_wait_until_the_first_byte_of_their_answer(make: Make) -> None:
    waiting: list[int] = []

    class Slow(Application):
        async def __call__(self, _: Any, receive: Any, send: Any) -> None:
            message = await receive()
            while message.get("more_body"):
                waiting.append(lifecycle.unanswered)
                message = await receive()
            waiting.append(lifecycle.unanswered)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            waiting.append(lifecycle.unanswered)
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            waiting.append(lifecycle.unanswered)
            await send({"type": "http.response.body", "body": b"}"})

    lifecycle = make(Slow())
    asyncio.run(_exchange(lifecycle, "/v1/completions", "POST"))
    assert waiting == [1, 1, 0]
    waiting.clear()
    asyncio.run(_exchange(lifecycle, "/v1/models"))
    assert waiting == [0, 0, 0]
    waiting.clear()
    asyncio.run(_exchange(lifecycle, "/v1/completions", "POST", pieces=3))
    assert waiting == [0, 0, 1, 1, 0], "a client that hasn't sent all of its request waits for nothing"
    assert lifecycle.unanswered == 0


def test_a_request_that_is_answered_before_its_body_came_never_waits(make: Make) -> None:
    class Refusing(Application):
        async def __call__(self, _: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            await receive()
            assert lifecycle.unanswered == 0

    lifecycle = make(Refusing())
    asyncio.run(_exchange(lifecycle, "/v1/completions", "POST"))
    assert lifecycle.unanswered == 0


def test_a_request_that_fails_no_longer_waits(make: Make) -> None:
    class Broken(Application):
        async def __call__(self, _: Any, receive: Any, *__: Any) -> None:
            await receive()
            raise ValueError(f"{lifecycle.unanswered} waits")

    lifecycle = make(Broken())
    with pytest.raises(ValueError, match="1 waits"):
        asyncio.run(_exchange(lifecycle, "/v1/completions", "POST"))
    assert lifecycle.unanswered == 0


def _settings(tmp_path: Path, values: dict[str, Any]) -> dict[str, Any]:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    config = helm.render(file).objects.one("ConfigMap", "test-lifecycle")
    return dict(json.loads(config.body["data"]["settings.json"]))


def test_the_chart_writes_the_settings(tmp_path: Path) -> None:
    assert _settings(tmp_path, {}) == {"stallTimeoutSeconds": 600}
    chat = _settings(tmp_path, {"warmup": {"enabled": True}, "server": {"stallTimeoutSeconds": 0}})
    assert chat["stallTimeoutSeconds"] == 0
    assert chat["warmup"]["path"] == "/v1/chat/completions"
    assert chat["warmup"]["body"]["model"] == "Qwen/Qwen3-0.6B"
    assert chat["warmup"]["startSeconds"] == 1800
    own = _settings(tmp_path, {"warmup": {"enabled": True, "request": {"path": "/v1/x", "body": {"model": "adapter"}}}})
    assert own["warmup"]["path"] == "/v1/x"
    assert own["warmup"]["body"]["model"] == "adapter"
    assert own["warmup"]["body"]["messages"]
