"""The client's requests in httpx2's terms; both faces send the same ones."""

from __future__ import annotations

from typing import Any

import httpx2

from perdure.client.exchange import Request, TokenSource, headers_of
from perdure.errors import InvalidParameter, ServerUnreachable

__all__ = ["READ_TIMEOUT_SECONDS", "pauses_of", "base_url", "http_arguments", "transport_error"]

_FIRST_PAUSE_SECONDS = 0.1

READ_TIMEOUT_SECONDS = 120.0
"""More than the 90 seconds that a server may wait for an instance to settle."""


def base_url(url: str) -> str:
    """The URL that paths are appended to. Raises ``InvalidParameter`` for one that is not http or https."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise InvalidParameter(f"{url!r} is not a URL: {error}", "url") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidParameter(f"{url!r} is not the URL of a server: it looks like http://127.0.0.1:7378", "url")
    return url.rstrip("/")


def pauses_of(request: Request, retries: int) -> list[float]:
    """How many seconds to wait before each further attempt at a request that has got no answer."""
    return [_FIRST_PAUSE_SECONDS * 4**number for number in range(retries)] if request.may_be_repeated else []


def http_arguments(request: Request, *, url: str, token: TokenSource, org: str | None) -> dict[str, Any]:
    """What ``httpx2.Client.request`` and its asynchronous twin are called with."""
    arguments: dict[str, Any] = {"method": request.method, "headers": headers_of(request, token, org)}
    if request.upload is None:
        arguments |= {"url": f"{url}{request.path}", "params": dict(request.query), "content": request.body}
    else:
        upload = request.upload
        part = (upload.file_name, upload.content, "application/javascript")
        arguments |= {"url": request.path, "data": dict(upload.fields), "files": {"file": part}}
    return arguments


def transport_error(url: str, error: httpx2.TransportError) -> ServerUnreachable:
    """No answer came: say from where, why, and what it means."""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol):
        return ServerUnreachable(f"no server answers at {url} ({error}): is it running, and is the URL right?")
    reason = str(error) or type(error).__name__
    return ServerUnreachable(
        f"{url} gave no answer ({reason}): the request may have taken effect all the same; read before you repeat it"
    )
