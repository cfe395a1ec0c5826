"""A small OpenTelemetry collector: takes traces over gRPC and HTTP, and lists the spans as JSON on port 8080."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services

SPANS: list[dict[str, object]] = []


def take(request: messages.ExportTraceServiceRequest, protocol: str) -> messages.ExportTraceServiceResponse:
    """Keep the spans of one export."""
    for resource in request.resource_spans:
        own = {item.key: item.value.string_value for item in resource.resource.attributes}
        SPANS.extend(
            {
                "service": own.get("service.name"),
                "protocol": protocol,
                "name": span.name,
                "trace": span.trace_id.hex(),
                "seconds": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                "attributes": sorted(item.key for item in span.attributes),
            }
            for scope in resource.scope_spans
            for span in scope.spans
        )
    return messages.ExportTraceServiceResponse()


class Receiver(services.TraceServiceServicer):
    """Takes exports over gRPC."""

    def Export(self, request, _):  # noqa: N802 - the service's name
        """Take one export."""
        return take(request, "grpc")


class Http(BaseHTTPRequestHandler):
    """Takes exports over HTTP, and answers with all spans."""

    def do_POST(self) -> None:
        """Take one export, at the path that OpenTelemetry names."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/traces":
            return self.answer(404, b"")
        request = messages.ExportTraceServiceRequest.FromString(body)
        return self.answer(200, take(request, "http").SerializeToString())

    def do_GET(self) -> None:
        """List the spans."""
        self.answer(200, json.dumps(SPANS).encode())

    def answer(self, status: int, body: bytes) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(4))
    services.add_TraceServiceServicer_to_server(Receiver(), server)
    server.add_insecure_port("[::]:4317")
    server.start()
    Thread(target=ThreadingHTTPServer(("", 4318), Http).serve_forever, daemon=True).start()
    ThreadingHTTPServer(("", 8080), Http).serve_forever()
