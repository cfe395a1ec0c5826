"""A release without a ready server is told, and alerts end with their cause."""

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import FILES
from tests.e2e.observability.conftest import METRICS, Watching, await_true

Record = Callable[..., None]
#: Answers every probe; what is looked at is who notices that there is a server.
SERVER = (
    "import http.server, signal, sys\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
    "class Answer(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self): self.send_response(200); self.end_headers()\n"
    "http.server.HTTPServer(('', 8000), Answer).serve_forever()\n"
)


def test_no_ready_server_fires_an_alert_until_there_is_one(
    watching: Watching, values: dict[str, Any], record: Record
) -> None:
    name, broken = "VllmNoReadyReplica", watching.broken
    await_true(lambda: name in watching.alerts(broken, "firing"), name, 1200)
    container = {"name": "vllm", "command": ["python3", "-c", SERVER], "args": None}
    small = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "5Gi"}}
    pod = {"resources": small, "podSpec": {"containers": [container]}, "checks": {"disabled": {"podSpec": True}}}
    broken.install(FILES, {"model": values["model"], "metrics": METRICS} | pod)
    broken.wait()
    ready = await_true(lambda: broken.pods()[0]["status"]["phase"] == "Running", "the server runs")
    silent = await_true(lambda: name not in watching.alerts(broken, "firing"), f"{name} ends", 60)
    record(f"{name}, when a server is ready", ends_after=f"{silent - ready:.0f} s")


def test_the_alert_about_refused_requests_has_ended(watching: Watching) -> None:
    seen = 'max_over_time(ALERTS{alertname="VllmAdmissionRejections",alertstate="firing"}[40m])'
    assert watching.prometheus.query(seen), "it fired before"
    await_true(lambda: "VllmAdmissionRejections" not in watching.alerts(watching.release, "firing"), "it ends")
