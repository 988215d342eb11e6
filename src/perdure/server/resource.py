"""Endpoints: from an ASGI request to a call of one of our functions, and back.

A ``Resource`` is one path with its methods; an ``Operation`` is one method with the scopes it needs and the function
that serves it. Authentication and scopes are checked before anything of the request is looked at, so that a caller
without rights learns nothing, not even which names exist.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar
from urllib.parse import parse_qs

import msgspec
from starlette.types import Message, Receive, Scope, Send

from perdure.durable.records import Address
from perdure.errors import InvalidParameter
from perdure.server.answer import Answer
from perdure.server.auth import Principal
from perdure.server.problems import BodyTooLarge, MethodNotAllowed, invalid_body
from perdure.server.services import Services
from perdure.wire import IDEMPOTENCY_HEADER, NAME_PATTERN

__all__ = ["Call", "ClientGone", "Handler", "Operation", "Resource", "checked_name"]

T = TypeVar("T")

_NAME = re.compile(NAME_PATTERN)
_IDEMPOTENCY_HEADER = IDEMPOTENCY_HEADER.encode()


class ClientGone(Exception):
    """The caller hung up before its request was complete; there is nobody to answer."""


class Call:
    """One request, as its handler sees it; authenticated, if its operation asks for that."""

    __slots__ = ("_principal", "_receive", "headers", "scope", "services")

    def __init__(self, services: Services, scope: Scope, receive: Receive) -> None:
        self.services = services
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        """By their names in lower case; of several with one name the last."""
        self._receive = receive
        self._principal: Principal | None = None

    async def authenticate(self, scopes: tuple[str, ...]) -> None:
        """Learn who calls. Raises ``MissingScope`` without one of ``scopes``, and what the authenticator raises."""
        self._principal = await self.services.authenticator.by_headers(self.headers)
        self._principal.require_scope(scopes)

    @property
    def principal(self) -> Principal:
        """The caller. Only an operation that needs no scope has none."""
        assert self._principal is not None, "an operation without scopes has no principal"
        return self._principal

    @property
    def org(self) -> str:
        return self.principal.org

    @property
    def machine(self) -> str:
        """The machine in the path. Raises ``InvalidParameter``."""
        return checked_name(self.path("machineSlug"), "machineSlug")

    @property
    def address(self) -> Address:
        """The instance in the path. Raises ``InvalidParameter``."""
        return Address(self.org, self.machine, checked_name(self.path("instanceSlug"), "instanceSlug"))

    def path(self, parameter: str) -> str:
        """A part of the path, by the name it has in the route."""
        part: str = self.scope["path_params"][parameter]
        return part

    def query(self, parameter: str) -> str | None:
        """A parameter of the query; an empty one, or one without a value, is ``""``."""
        query_string: bytes = self.scope["query_string"]
        if not query_string:
            return None
        values = parse_qs(query_string.decode("latin-1"), keep_blank_values=True).get(parameter)
        return values[0] if values else None

    def header(self, name: str) -> str | None:
        """A header, by its name in lower case."""
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    @property
    def idempotency_key(self) -> str | None:
        """What the caller calls this request, so that it may be made again."""
        value = self.headers.get(_IDEMPOTENCY_HEADER)
        return None if value is None else value.decode("latin-1")

    @property
    def cursor(self) -> str | None:
        """The page that the caller wants, ``None`` for the first."""
        return self.query("cursor") or None

    async def body(
        self, decoder: msgspec.json.Decoder[T], *, default: T | None = None, bytes_max: int | None = None
    ) -> T:
        """The request's JSON; ``default``, where there is one, when the body is empty.

        Raises ``InvalidParameter`` naming the field at fault, and ``BodyTooLarge``.
        """
        data = await self.raw_body(bytes_max or self.services.settings.body_bytes_max)
        if not data:
            if default is not None:
                return default
            raise InvalidParameter("the body is empty; this endpoint expects JSON", "body")
        try:
            if not data.isascii():
                data.decode()  # also what the decoder would pass over unread has to be text
            return decoder.decode(data)
        except (ValueError, RecursionError) as error:
            raise invalid_body(error, decoder.type) from error

    def receive_within(self, bytes_max: int) -> Receive:
        """This request's ``receive``, which raises ``BodyTooLarge`` at the first sign of more than ``bytes_max``."""
        announced = self.headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > bytes_max:
            raise BodyTooLarge(f"the body has {int(announced)} bytes; at most {bytes_max} are accepted")
        received = 0

        async def receive() -> Message:
            nonlocal received
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            received += len(message.get("body", b""))
            if received > bytes_max:
                raise BodyTooLarge(f"the body has more than the {bytes_max} bytes that are accepted")
            return message

        return receive

    async def raw_body(self, bytes_max: int) -> bytes:
        """The request's bytes. Raises ``BodyTooLarge``."""
        receive = self.receive_within(bytes_max)
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return body
        parts = [body]
        while message.get("more_body", False):
            message = await receive()
            parts.append(message.get("body", b""))
        return b"".join(parts)


def checked_name(name: str, parameter: str) -> str:
    """A name of a machine, an instance or an index. Raises ``InvalidParameter`` for ``parameter``."""
    if _NAME.fullmatch(name) is None:
        raise InvalidParameter(f"{name!r} is not a name: 1 to 128 of the characters a-z A-Z 0-9 _ -", parameter)
    return name


Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    handler: Handler
    scopes: tuple[str, ...]
    """The key needs one of these. With none at all the operation is open to everybody."""


class Resource:
    """One path, as an ASGI application."""

    def __init__(self, services: Services, **operations: Operation) -> None:
        """``operations`` are named for their HTTP methods: ``GET=Operation(…)``."""
        self._services = services
        self._operations = dict(operations)
        if "GET" in operations:
            self._operations["HEAD"] = operations["GET"]
        self._allowed = ", ".join(sorted({*self._operations, "OPTIONS"}))

    @property
    def operations(self) -> Mapping[str, Operation]:
        """By method; ``HEAD`` is there wherever ``GET`` is."""
        return self._operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self._operations.get(scope["method"])
        if operation is None:
            raise MethodNotAllowed(scope["method"], self._allowed)
        call = Call(self._services, scope, receive)
        if operation.scopes:
            await call.authenticate(operation.scopes)
        answer = await operation.handler(call)
        await answer.write(send)
