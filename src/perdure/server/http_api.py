"""``/http-api/{org}/machines/{machine}/{slug}``: requests in a machine's own form, from callers without a token.

Requests are translated into what handlers see, and the answers of response mappers into HTTP; what happens between is
``perdure.durable.http_requests``. Headers that frame a message, or that every answer has, are not a machine's to set.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from perdure.durable.http_api import HttpAnswer, HttpRequest
from perdure.durable.http_requests import handle_http
from perdure.errors import InvalidParameter
from perdure.json_value import Json, decode_json, encode_json
from perdure.server.answer import Answer, Headers
from perdure.server.problems import invalid_body
from perdure.server.resource import Call, checked_name
from perdure.server.services import Services

__all__ = ["routes"]

_FORM = "application/x-www-form-urlencoded"
_FORM_FIELDS_MAX = 1_000

_NOT_A_MACHINES = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "server",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OURS_PREFIX = "access-control-"

_WITHOUT_A_BODY = (204, 304)


def routes(services: Services) -> list[Route]:
    return [Route("/http-api/{org}/machines/{machineSlug}/{slug}", HttpApiEndpoint(services))]


class HttpApiEndpoint:
    """Any method but OPTIONS, no token."""

    operations = frozenset({"DELETE", "GET", "PATCH", "POST", "PUT"})
    """The methods that are documented; a machine may give others a meaning."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(self._services, scope, receive)
        machine = checked_name(call.path("machineSlug"), "machineSlug")
        slug = checked_name(call.path("slug"), "slug")
        request = await _request(call)
        answer = await handle_http(self._services.runtime, call.path("org"), machine, slug, request)
        await _answer(answer).write(send)


async def _request(call: Call) -> HttpRequest:
    """Raises ``InvalidParameter`` for a body that is not what its content type says, and ``BodyTooLarge``."""
    raw = await call.raw_body(call.services.settings.body_bytes_max)
    headers: dict[str, str] = {}
    for key, value in call.scope["headers"]:
        name, text = key.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    query = parse_qs(call.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return HttpRequest(
        method=call.scope["method"],
        headers=headers,
        query={name: values[0] for name, values in query.items()},
        body=_parsed(raw, headers.get("content-type", "")),
        raw=raw,
    )


def _parsed(raw: bytes, content_type: str) -> Json:
    if not raw:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return decode_json(raw)
        except (ValueError, RecursionError) as error:
            raise invalid_body(error) from error
    try:
        text = raw.decode()
        if kind == _FORM:
            fields = parse_qs(text, keep_blank_values=True, max_num_fields=_FORM_FIELDS_MAX, errors="strict")
            return {name: values[0] for name, values in fields.items()}
        return text
    except ValueError as error:
        raise InvalidParameter("the body is not UTF-8, or not the form that its content type says", "body") from error


def _answer(answer: HttpAnswer | None) -> Answer:
    if answer is None:
        return Answer(200, encode_json({"ok": True}))
    headers: list[tuple[bytes, bytes]] = [(b"x-content-type-options", b"nosniff")]
    names = set()
    for name, value in answer.headers.items():
        lower = name.lower()
        if lower not in _NOT_A_MACHINES and not lower.startswith(_OURS_PREFIX):
            names.add(lower)
            headers.append((lower.encode(), value.encode("latin-1")))
    if answer.body is None or answer.status_code in _WITHOUT_A_BODY:
        return Answer(answer.status_code, b"", tuple(headers))
    body, kind = _body(answer.body)
    defaults: Headers = ((b"content-type", kind), (b"cache-control", b"no-store"))
    headers += [header for header in defaults if header[0].decode() not in names]
    return Answer(answer.status_code, body, tuple(headers), is_json=False)


def _body(body: Json) -> tuple[bytes, bytes]:
    if isinstance(body, str):
        return body.encode(errors="replace"), b"text/plain; charset=utf-8"
    return encode_json(body), b"application/json"
