"""Page cursors: opaque to callers, bound to the list they came from.

A store numbers the rows of a list with positions that grow and are never used twice; a cursor carries the position of
the last row that was shown. It therefore stays valid while rows come and go, and says nothing about what the rows hold.
A checksum over the list and the position makes a cursor of another list, or a made-up one, fail instead of skipping
rows. It is no secret: whoever may read a list may start anywhere in it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

import msgspec

from perdure.durable.records import Page
from perdure.errors import InvalidParameter

__all__ = ["decode_cursor", "decode_place", "encode_cursor", "encode_place", "page_of"]

_CHECK_BYTES = 8
_POSITION_BYTES = 8

Found = TypeVar("Found")
Row = TypeVar("Row")


def encode_cursor(scope: Sequence[str], position: int) -> str:
    """The cursor of a position (0 to 2**64 - 1) in the list that ``scope`` names, 22 URL-safe characters."""
    return _encode(scope, position.to_bytes(_POSITION_BYTES))


def decode_cursor(scope: Sequence[str], cursor: str | None) -> int:
    """The position after which the page begins: 0 without a cursor.

    Raises ``InvalidParameter`` naming ``cursor`` for anything that ``encode_cursor`` did not make for this scope.
    """
    return 0 if cursor is None else int.from_bytes(_decode(scope, cursor))


def encode_place(scope: Sequence[str], place: tuple[str, int]) -> str:
    """The cursor of a place in a list that is ordered by a text and, where that is equal, by a position."""
    return _encode(scope, msgspec.json.encode(place))


def decode_place(scope: Sequence[str], cursor: str | None) -> tuple[str, int] | None:
    """The place after which the page begins; ``None`` without a cursor. Raises ``InvalidParameter`` likewise."""
    return None if cursor is None else msgspec.json.decode(_decode(scope, cursor), type=tuple[str, int])


def page_of(
    found: Iterable[Found],
    limit: int,
    scope: Sequence[str],
    *,
    position: Callable[[Found], int],
    row: Callable[[Found], Row],
) -> Page[Row]:
    """A page of at most ``limit`` rows.

    ``found`` must go on for one row more when the list does: that is how the last page is told, which has no cursor.
    """
    shown = list(islice(found, limit + 1))
    is_last = len(shown) <= limit
    del shown[limit:]
    cursor = None if is_last else encode_cursor(scope, position(shown[-1]))
    return Page([row(each) for each in shown], cursor)


def _encode(scope: Sequence[str], packed: bytes) -> str:
    return base64.urlsafe_b64encode(_check(scope, packed) + packed).rstrip(b"=").decode()


def _decode(scope: Sequence[str], cursor: str) -> bytes:
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    check, packed = data[:_CHECK_BYTES], data[_CHECK_BYTES:]
    if check != _check(scope, packed):
        raise InvalidParameter("the cursor does not belong to this list: start again without one", "cursor")
    return packed


def _check(scope: Sequence[str], packed: bytes) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(list(scope)) + packed, digest_size=_CHECK_BYTES).digest()
