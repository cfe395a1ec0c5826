"""The program of `helm test`, run against servers that do well and badly."""

from __future__ import annotations

import http.server
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vllm_chart.chart import CHART
from vllm_chart.render import helm

SOURCE = (CHART / "files" / "programs" / "smoke_test.py").read_text(encoding="utf-8")
CHAT = {"path": "/v1/chat/completions", "body": {"model": "chat", "max_tokens": 4}, "streams": True}
EMBEDDING = {"path": "/v1/embeddings", "body": {"model": "chat", "input": "x"}}


class Server:
    """A server like vLLM, whose faults a test may choose."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.root = ""
        self.keys: list[str] = []
        self.names = ["chat"]
        self.answer: tuple[int, Any] = (200, {"choices": [{}], "data": [{}]})
        self.stream = ['{"choices": [{"finish_reason": null}]}', '{"choices": [{"finish_reason": "stop"}]}', "[DONE]"]
        self.metrics = 'vllm:num_requests_running{engine="0"} 0.0\n'
        self.asked: list[str] = []

    def reply(self, path: str, authorization: str | None, body: dict[str, Any]) -> tuple[int, str]:
        """Status and text of the answer to a request."""
        self.asked.append(path)
        if path == "/metrics":
            return 200, self.metrics
        if not path.startswith(f"{self.root}/v1"):
            return 404, "{}"
        if self.keys and authorization not in [f"Bearer {key}" for key in self.keys]:
            return 401, '{"error": "Unauthorized"}'
        if path.endswith("/models"):
            return 200, json.dumps({"data": [{"id": name} for name in self.names]})
        if body.get("stream"):
            return 200, "".join(f"data: {event}\n\n" for event in self.stream)
        return self.answer[0], json.dumps(self.answer[1])


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that does well."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else {}
            status, text = found.reply(self.path, self.headers.get("Authorization"), body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        found = Server(f"http://127.0.0.1:{listener.server_address[1]}")
        threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
        yield found
        listener.shutdown()


@pytest.fixture
def smoke_test(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Any:
    """A function that runs the program with a first request and mounted keys, and returns what it prints."""

    def call(request: dict[str, Any], keys: dict[str, str] | None = None) -> str:
        folder = tmp_path / "api-keys"
        folder.mkdir(exist_ok=True)
        for name, key in (keys or {}).items():
            (folder / name).write_text(f"{key}\n", encoding="utf-8")
        source = SOURCE.replace("/etc/vllm", str(tmp_path))
        arguments = [server.address, server.root, json.dumps(request), json.dumps(["chat"])]
        monkeypatch.setattr(sys, "argv", ["-c", *arguments])
        exec(compile(source, "test.py", "exec"), {"__name__": "__main__"})  # noqa: S102
        return capsys.readouterr().out

    return call


def test_a_server_that_does_well_passes_line_by_line(server: Server, smoke_test: Any) -> None:
    server.root = "/llm"
    assert smoke_test(CHAT).splitlines() == [
        "ok      /llm/v1/models lists chat",
        "ok      /llm/v1/chat/completions answers",
        "ok      /llm/v1/chat/completions streams to its end",
        "ok      /metrics counts requests",
    ]


def test_a_kind_of_model_that_can_not_stream_is_not_asked_to(server: Server, smoke_test: Any) -> None:
    server.stream = []
    assert "streams" not in smoke_test(EMBEDDING)


@pytest.mark.parametrize("character", ["\u2028", "\x85"])
def test_line_separator_in_a_streamed_answer_ends_no_event(server: Server, smoke_test: Any, character: str) -> None:
    piece = {"choices": [{"delta": {"content": f"a{character}b"}, "finish_reason": "stop"}]}
    server.stream = [json.dumps(piece, ensure_ascii=False), "[DONE]"]
    assert f"{CHAT['path']} streams to its end" in smoke_test(CHAT)


def test_every_key_is_accepted_and_a_wrong_one_or_none_refused(server: Server, smoke_test: Any) -> None:
    server.keys = ["one", "two"]
    output = smoke_test(CHAT, {"new": "one", "old": "two"})
    found = re.findall(r"^ok +(.* (?:accepted|refused))$", output, flags=re.MULTILINE)
    assert found == ["key new is accepted", "key old is accepted", "a wrong key is refused", "no key is refused"]
    assert "one" not in output.replace("no key is refused", "")


@pytest.mark.parametrize(
    ("faults", "keys", "words"),
    [
        ({"names": ["other"]}, {}, r"/v1/models lists chat; found: \['other'\]"),
        ({"answer": (400, {"message": "no chat template"})}, {}, "answers; found: .*no chat template"),
        ({"answer": (200, {"choices": []})}, {}, "completions answers"),
        ({"stream": ['{"choices": []}']}, {}, "streams to its end"),
        ({"stream": ['{"choices": [{"finish_reason": null}]}', "[DONE]"]}, {}, "streams to its end"),
        ({"stream": ['{"error": {}}', '{"choices": [{"finish_reason": "stop"}]}', "[DONE]"]}, {}, "streams to its end"),
        ({"keys": ["one"]}, {"new": "one", "old": "two"}, "key old is accepted; found: .*401"),
        ({"keys": ["one"]}, {}, r"/v1/models lists chat; found: \(401"),
        ({}, {"new": "one"}, "a wrong key is refused; found: .*200"),
        ({"metrics": "up 1"}, {}, "/metrics counts requests"),
        ({"address": "http://127.0.0.1:1"}, {}, "no answer from http://127.0.0.1:1: .*refused"),
    ],
)
def test_a_server_that_does_badly_fails_with_the_reason(
    faults: dict[str, Any], keys: dict[str, str], words: str, server: Server, smoke_test: Any
) -> None:
    for name, value in faults.items():
        setattr(server, name, value)
    with pytest.raises(SystemExit, match=f"^FAILED  .*{words}"):
        smoke_test(CHAT, keys)


def test_labels_of_the_test_pod_are_text_for_a_release_that_is_called_like_a_number() -> None:
    labels = helm.render({}, release="123").objects.one("Pod").at("metadata", "labels")
    assert (labels["app.kubernetes.io/instance"], labels["app.kubernetes.io/name"]) == ("123", "vllm-test")


def test_test_pod_runs_once_without_a_service_account_token_or_service_variables() -> None:
    pod = helm.render({}).objects.one("Pod")
    assert pod.at("metadata", "annotations", "helm.sh/hook") == "test"
    assert pod.at("spec", "restartPolicy") == "Never"
    assert pod.at("spec", "automountServiceAccountToken") is False
    assert pod.at("spec", "enableServiceLinks") is False
