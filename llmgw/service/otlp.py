"""Tells an OpenTelemetry collector, every few seconds and in a thread, what was committed to the ledger."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING

from llmgw.errors import ConfigInvalid, GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics.export import MetricsData

    from llmgw.config.telemetry import Otel
    from llmgw.gates.state import Gateway
    from llmgw.gates.tracing import Ended, Traces
    from llmgw.storage.requests import Requests

log = logging.getLogger("llmgw.otel")

AT_ONCE = 500
"""Requests in one delivery."""
TIMEOUT = 5.0
"""Seconds that a delivery may take, tries included."""
LONG = 3 * TIMEOUT
"""Seconds after which a delivery that does not end, as each byte of an answer starts that time anew, is told of."""


class Collector:
    """One collector that is told; what it does not take is lost, said once, and said again when it takes it again."""

    def __init__(self, otel: Otel, boot: str, addresses: dict[str, str]) -> None:
        """ConfigInvalid without the extra. ``addresses`` are those of upstreams, by name."""
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
        except ImportError:
            raise ConfigInvalid(
                "`otel.endpoint` is set, and OpenTelemetry is not installed",
                hint="pip install 'llmgw[otel]', or take it out of llmgw.toml",
            ) from None
        from llmgw import __version__

        for name in ("opentelemetry", "urllib3"):  # they log addresses, and each failure at length
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._otel = otel
        self._addresses = addresses
        self._well = True
        self._delivery: asyncio.Future[bool] | None = None
        self._resource = Resource(
            {"service.name": otel.service, "service.version": __version__, "service.instance.id": boot}
        )
        base, headers = otel.endpoint.rstrip("/"), _headers(otel.headers)
        self._spans = OTLPSpanExporter(f"{base}/v1/traces", headers=headers, timeout=TIMEOUT)
        self._metrics = OTLPMetricExporter(f"{base}/v1/metrics", headers=headers, timeout=TIMEOUT)

    async def run(self, gateway: Gateway, traces: Traces) -> None:
        """Tell every few seconds until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(self._otel.seconds)
                await self._tell(gateway, traces)
        finally:
            if self._delivery is not None:
                await asyncio.wait([self._delivery])
            await self._tell(gateway, traces)
            self._spans.shutdown()  # type: ignore[no-untyped-call]
            self._metrics.shutdown()

    async def _tell(self, gateway: Gateway, traces: Traces) -> None:
        try:
            metrics = None
            if self._otel.metrics:
                from llmgw.service.points import metrics_of

                metrics = metrics_of(gateway.counted.read(), gateway.clock.now(), self._resource)
            requests = gateway.ledger.requests
            self._delivery = _aside(lambda: self._deliver(requests, traces, metrics))
            done, _ = await asyncio.wait([self._delivery], timeout=LONG)
            if not done:
                self._say(well=False)
            self._say(well=await asyncio.shield(self._delivery))
        except Exception:
            log.exception("something could not be told to the OpenTelemetry collector")

    def _say(self, *, well: bool) -> None:
        if well != self._well:
            self._well = well
            if well:
                log.info("the OpenTelemetry collector takes what it is told again")
            else:
                log.warning("the OpenTelemetry collector takes nothing: spans are lost until it does")

    def _deliver(self, requests: Requests, traces: Traces, metrics: MetricsData | None) -> bool:
        """Whether all of it was taken; blocks."""
        well = metrics is None or self._metrics.export(metrics).name == "SUCCESS"
        while ended := traces.drain(AT_ONCE):
            well = (not self._otel.traces or self._deliver_spans(requests, ended)) and well
            if not well:
                break
        return well

    def _deliver_spans(self, requests: Requests, ended: Ended) -> bool:
        from llmgw.service.spans import spans_of

        try:
            attempts = requests.attempts_of([row.id for row, _ in ended if row.attempts])
        except GatewayError as error:
            log.warning("attempts are not told: %s", error.message)
            attempts = {}
        spans = spans_of(ended, attempts, self._addresses, self._resource)
        return not spans or self._spans.export(spans).name == "SUCCESS"


def _aside(work: Callable[[], bool]) -> asyncio.Future[bool]:
    """Do it in a thread that the end of the process does not wait for, as that of an executor."""
    told: Future[bool] = Future()
    told.set_running_or_notify_cancel()

    def run() -> None:
        try:
            told.set_result(work())
        except Exception as error:  # noqa: BLE001 (whoever awaits it is told)
            told.set_exception(error)

    Thread(target=run, name="llmgw-otel", daemon=True).start()
    return asyncio.wrap_future(told)


def _headers(text: str) -> dict[str, str]:
    """``name=value,name=value`` as OpenTelemetry writes it; ConfigInvalid otherwise, never repeating it."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if any(not (name.strip() and sign) for name, sign, _ in pairs):
        raise ConfigInvalid("`otel.headers` is not `name=value,name=value`")
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
