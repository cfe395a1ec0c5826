"""A reverse proxy that counts requests whether or not a server runs: what an ingress controller's metrics are to KEDA.

It passes requests on to $UPSTREAM and answers 503 where nobody listens there. As with those, the series of an outcome
appears with the first such request.
"""

from __future__ import annotations

import http.client
import os
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UPSTREAM = os.environ["UPSTREAM"]
_counts: Counter[str] = Counter()
_lock = threading.Lock()


def count(outcome: str) -> None:
    """Count one request."""
    with _lock:
        _counts[outcome] += 1


class Gateway(BaseHTTPRequestHandler):
    """Answers /metrics itself, and everything else by the upstream."""

    def do_GET(self) -> None:
        """Answer with the counts."""
        lines = [f'gateway_requests_total{{outcome="{outcome}"}} {number}\n' for outcome, number in [*_counts.items()]]
        self.answer(200, "".join(lines).encode())

    def do_POST(self) -> None:
        """Pass a request on."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        upstream = http.client.HTTPConnection(UPSTREAM, timeout=120)
        try:
            upstream.request("POST", self.path, body, {"Content-Type": "application/json"})
            answer = upstream.getresponse()
            status, text = answer.status, answer.read()
        except OSError:
            status, text = 503, b"no server"
        finally:
            upstream.close()
        count("refused" if status == 503 else "passed")
        self.answer(status, text)

    def answer(self, status: int, body: bytes) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Gateway).serve_forever()
