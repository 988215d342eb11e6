"""The client's requests in httpx2's terms; both faces send the same ones."""

from __future__ import annotations

from typing import Any

import httpx2

from perdure.client.carrying import Failure, Outgoing
from perdure.client.exchange import Response
from perdure.errors import InvalidParameter, ServerUnreachable

__all__ = ["READ_TIMEOUT_SECONDS", "base_url", "failure_of", "http_arguments", "response_of"]

READ_TIMEOUT_SECONDS = 120.0
"""More than the 90 seconds that a server may wait for an instance to settle."""


def base_url(url: str) -> str:
    """The URL that paths are appended to. Raises ``InvalidParameter`` for one that is not http or https."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise InvalidParameter(f"{url!r} is not a URL: {error}", "url") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidParameter(f"{url!r} is not the URL of a server: it looks like http://127.0.0.1:7373", "url")
    return url.rstrip("/")


def http_arguments(outgoing: Outgoing, *, url: str) -> dict[str, Any]:
    """What ``httpx2.Client.request`` and its asynchronous twin are called with."""
    request = outgoing.request
    arguments: dict[str, Any] = {"method": request.method, "headers": dict(outgoing.headers)}
    if request.upload is not None:
        upload = request.upload
        part = (upload.file_name, upload.content, "application/javascript")
        return arguments | {"url": request.path, "data": dict(upload.fields), "files": {"file": part}}
    arguments |= {"url": f"{url}{request.path}", "params": dict(request.query)}
    if request.form is not None:
        return arguments | {"data": dict(request.form)}
    return arguments | {"content": request.body}


def response_of(answer: httpx2.Response) -> Response:
    """An answer in our terms."""
    return Response(
        status=answer.status_code, body=answer.content, retry_after=_milliseconds(answer.headers.get("retry-after"))
    )


def failure_of(url: str, error: httpx2.TransportError) -> Failure:
    """No answer came: say from where, why, and what it means."""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol):
        lost = ServerUnreachable(f"no server answers at {url} ({error}): is it running, and is the URL right?")
        return Failure(lost, was_sent=False)
    reason = str(error) or type(error).__name__
    lost = ServerUnreachable(
        f"{url} gave no answer ({reason}): the request may have taken effect all the same; read before you repeat it"
    )
    return Failure(lost, was_sent=True)


def _milliseconds(retry_after: str | None) -> float | None:
    """The header's seconds; a date, which it may also be, is not waited for."""
    return float(retry_after) * 1000 if retry_after is not None and retry_after.isdigit() else None
