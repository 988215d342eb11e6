"""What goes back to a caller: a status, a JSON body or none, and headers beyond the ones that every answer has.

The contract's clients read the body of every success but 201 and 204, so an answer without a body has one of those.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from starlette.types import Send

from perdure.json_value import encode_json

__all__ = ["Answer", "Headers", "created", "no_content", "ok"]

Headers = tuple[tuple[bytes, bytes], ...]

# State is private and changes: nothing on the way may keep a copy.
_JSON_HEADERS: Headers = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    is_json: bool = True
    """Whether the body is JSON of ours; otherwise ``headers`` say what it is."""

    async def write(self, send: Send, *, prefix: str = "http.response") -> None:
        """Send it. ``prefix`` is ``websocket.http.response`` where a WebSocket is refused at its upgrade."""
        headers = [*self.headers]
        if self.body and self.is_json:
            headers += _JSON_HEADERS
        if self.status != 204:
            headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": f"{prefix}.start", "status": self.status, "headers": headers})
        await send({"type": f"{prefix}.body", "body": self.body})


def ok(value: Any) -> Answer:
    """200 with a body."""
    return Answer(200, encode_json(value))


def created() -> Answer:
    """201 without a body: the client would not read it."""
    return Answer(201)


def no_content() -> Answer:
    """204."""
    return Answer(204)
