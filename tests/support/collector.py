"""A collector of OpenTelemetry on loopback: decodes what it is sent over OTLP/HTTP and keeps it."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class Collector:
    """``spans`` and ``metrics`` are protobuf messages, ``headers`` those of the last request."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: dict[str, Any] = {}
        self.resources: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.raw = b""
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                if collector.status == 200:
                    collector._keep(self.path, body, {k.lower(): v for k, v in self.headers.items()})
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _keep(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        message: Any = KINDS[path]()
        message.ParseFromString(body)
        self.headers, self.raw = headers, self.raw + body
        if path == "/v1/traces":
            for part in message.resource_spans:
                self.resources.append(attributes(part.resource))
                for scope in part.scope_spans:
                    self.spans.extend(scope.spans)
        else:
            for part in message.resource_metrics:
                for scope in part.scope_metrics:
                    self.metrics |= {metric.name: metric for metric in scope.metrics}

    def wait(self, until: Callable[[], bool], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, "the collector was not told"
            time.sleep(0.02)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def attributes(message: Any) -> dict[str, Any]:
    """Attributes of a message as plain values."""
    return {each.key: _plain(each.value) for each in message.attributes}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind)
