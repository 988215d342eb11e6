"""The HTTP API of a machine: requests in a form of its own become events, and states become answers of its own.

A machine version module may export ``http_api``, a dict from a slug to ``{"handler": …, "response_mapper": …}``. The
handler, a plain function, gets an ``HttpRequest`` and says which instance gets which event on whose behalf; nothing has
vouched for the request, so a handler that takes webhooks verifies their signature first (``request.raw`` has the bytes
that were signed), and refuses by raising. The response mapper gets an ``HttpResult`` and says what to answer.

From there on it is an event like any other: the instance is created when it is missing and the handler gave an initial
context for it, and ``allow_write`` is asked each time, with the handler's ``auth_context``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from perdure.json_value import Json, JsonObject
from perdure.statechart.snapshot import StateValue

__all__ = ["HttpAnswer", "HttpApi", "HttpEvent", "HttpRequest", "HttpResult"]


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a handler sees it."""

    method: str
    """In capitals."""
    headers: dict[str, str]
    """By name in lower case; several of one name are joined by ``, ``."""
    query: dict[str, str]
    """Of several values of one name, the first."""
    body: Json
    """Parsed: JSON as it is, a form as a dict of strings, other text as a string; ``None`` when there is none."""
    raw: bytes
    """The body as it came, for checking signatures."""


class HttpEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler answers, as this or as a dict with these keys."""

    machine_instance_name: str
    event: str | JsonObject
    auth_context: JsonObject
    initial_context: JsonObject | None = None
    """With it, an instance that is missing is created; without it, the request fails."""


class HttpResult(msgspec.Struct, frozen=True, kw_only=True):
    """The instance after the event, as a response mapper sees it."""

    state: StateValue
    context: Json
    """All of it: the mapper decides what leaves the server."""
    result: Json
    """The output of the final state; ``None`` when the instance has not ended."""


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a response mapper answers, as this or as a dict with these keys."""

    status_code: int = 200
    headers: dict[str, str] = {}
    body: Json = None
    """Text is sent as it is, ``None`` is no body, and everything else is JSON."""


Handler: TypeAlias = Callable[[HttpRequest], HttpEvent | Mapping[str, Any]]
ResponseMapper: TypeAlias = Callable[[HttpResult], HttpAnswer | Mapping[str, Any]]


class HttpApi(msgspec.Struct, frozen=True, kw_only=True):
    """One slug of a machine's HTTP API."""

    handler: Handler
    response_mapper: ResponseMapper | None = None
    """Without one the answer is ``{"ok": true}``."""
