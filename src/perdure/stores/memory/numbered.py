"""Rows in memory with the number of their arrival, which orders lists and their pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from perdure.durable.records import Page
from perdure.stores.cursor import decode_cursor, page_of

__all__ = ["copy_of", "page", "record_of"]

Row = TypeVar("Row", bound=msgspec.Struct)


def page(numbered: Iterable[tuple[int, Row]], scope: tuple[str, ...], cursor: str | None, limit: int) -> Page[Row]:
    """One page of rows that come with their position in the list."""
    after = decode_cursor(scope, cursor)

    def rest() -> Iterator[tuple[int, Row]]:
        yield from sorted((each for each in numbered if each[0] > after), key=lambda each: each[0])

    return page_of(rest(), limit, scope, position=lambda each: each[0], row=lambda each: each[1])


def record_of(numbered: tuple[int, Row] | None) -> Row | None:
    return numbered[1] if numbered else None


def copy_of(row: Row) -> Row:
    """The row as a disk would give it back."""
    return msgspec.json.decode(msgspec.json.encode(row), type=type(row))
