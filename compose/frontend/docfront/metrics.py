"""What /metrics tells about the proxy, beside the process's own figures."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from docfront.logs import area_of

REQUESTS = Counter("docfront_requests_total", "Answers by area of the site and status.", ("area", "status"))
BACKEND_SECONDS = Histogram("docfront_backend_seconds", "Time until the backend's answer begins, in seconds.")
IN_FLIGHT = Gauge("docfront_backend_requests", "Requests that wait for the backend or are being answered by it.")
ROOM = Gauge("docfront_backend_requests_limit", "How many of them there may be; fewer while answers are slow.")
REFUSED = Counter("docfront_refused_total", "Requests refused because too many others were on their way.")
CLIENT_GONE = Counter("docfront_client_gone_total", "Requests whose client left before the answer was complete.")


class MetricsMiddleware:
    """Counts every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and count at the start of its answer."""

        async def counting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                REQUESTS.labels(area_of(scope["path"]), str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counting_send)


async def metrics(request: Request) -> Response:
    """Answer in the Prometheus text format."""
    return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST, "cache-control": "no-store"})
