"""What holds for every HTTP request, whatever it asks for: one ASGI layer around all endpoints.

Duplicate slashes in the path are one slash, since a client with a slash at the end of its base URL writes two.
Browsers of every origin may call: what protects an instance is its token, and no cookie is ever looked at. Whatever an
endpoint raises becomes an answer here, with the same headers as a success, and is logged here.
"""

from __future__ import annotations

import logging
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perdure.logs import get_logger
from perdure.server.answer import Answer, Headers
from perdure.server.problems import problem_answer
from perdure.server.resource import ClientGone
from perdure.server.services import Services
from perdure.wire import ACT_HEADER, IDEMPOTENCY_HEADER, ORG_HEADER

__all__ = ["CORS_HEADERS", "Edge"]

log = get_logger("perdure.server")
_level = logging.getLogger("perdure.server")
"""Knows whether a line is wanted without making a logger of structlog's to ask."""

CORS_HEADERS: Headers = ((b"access-control-allow-origin", b"*"),)

_PREFLIGHT = Answer(
    204,
    headers=(
        (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
        (
            b"access-control-allow-headers",
            ", ".join(("authorization", "content-type", ORG_HEADER, ACT_HEADER, IDEMPOTENCY_HEADER)).encode(),
        ),
        (b"access-control-max-age", b"86400"),
    ),
)

_SLASHES = re.compile(r"/{2,}")
_RAW_SLASHES = re.compile(rb"/{2,}")


class Edge:
    """The outermost layer of our own."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._clock = services.clock
        self._entropy = services.entropy
        self._log_requests = services.settings.log_requests
        self._runtime = services.runtime
        self._traffic = services.traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind != "lifespan" and "//" in scope["path"]:
            scope["path"] = _SLASHES.sub("/", scope["path"])
            if scope.get("raw_path") is not None:
                scope["raw_path"] = _RAW_SLASHES.sub(b"/", scope["raw_path"])
        if kind != "http":
            await self._app(scope, receive, send)
            return
        started_at = self._clock.now()
        serve = self._trace if self._runtime.tracer.is_on else self._serve
        status = await serve(scope, receive, send)
        milliseconds = self._clock.now() - started_at
        self._traffic.count(scope, status, milliseconds)
        if self._log_requests and _level.isEnabledFor(logging.INFO):
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=round(milliseconds, 3),
            )

    async def _trace(self, scope: Scope, receive: Receive, send: Send) -> int | None:
        """Answer within a span of the caller's trace."""
        parent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
        with self._runtime.tracer.span(scope["method"], parent=parent, kind="server") as span:
            status = await self._serve(scope, receive, send)
            span.rename(f"{scope['method']} {self._traffic.route_of(scope)}")
            span.set("http.response.status_code", status if status is not None else 499)
            return status

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> int | None:
        """Answer, whatever happens. Returns the status, ``None`` when the caller hung up before there was one."""
        status: int | None = None

        async def send_for_all_origins(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = (*message.get("headers", ()), *CORS_HEADERS)
            await send(message)

        try:
            if scope["method"] == "OPTIONS":
                await _PREFLIGHT.write(send_for_all_origins)
            else:
                await self._app(scope, receive, send_for_all_origins)
        except ClientGone:
            pass
        except Exception as error:
            if status is not None:
                log.error("answer broken off", path=scope["path"], status=status, exc_info=error)
                raise
            await problem_answer(error, self._entropy, path=scope["path"]).write(send_for_all_origins)
        return status
