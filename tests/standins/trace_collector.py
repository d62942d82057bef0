"""A small collector of OpenTelemetry traces, over HTTP."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.standins.serving import serving


@dataclass
class TraceCollector:
    """What it was told.

    Attributes:
        services: The names of who has told it.
        spans: What they have told.
        url: Its address, once it runs.
    """

    services: set[str] = field(default_factory=set)
    spans: list[Span] = field(default_factory=list)
    url: str = ""
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        told = ExportTraceServiceRequest.FromString(body)
        async with self._came:
            for group in told.resource_spans:
                about = {it.key: it.value.string_value for it in group.resource.attributes}
                self.services.add(about["service.name"])
                for scope in group.scope_spans:
                    self.spans += scope.spans
            self._came.notify_all()
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(),
            content_type="application/x-protobuf",
        )

    async def wait_for(self, name: str) -> None:
        """Wait until it is told of a span of that name."""
        async with asyncio.timeout(30), self._came:
            await self._came.wait_for(lambda: self.named(name))

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def inside(self, parent: Span) -> list[Span]:
        return [span for span in self.spans if span.parent_span_id == parent.span_id]


@asynccontextmanager
async def run_trace_collector() -> AsyncIterator[TraceCollector]:
    """Serve on a free port of this machine."""
    collector = TraceCollector()
    async with serving(web.post("/v1/traces", collector.take)) as address:
        collector.url = f"http://{address}"
        yield collector
