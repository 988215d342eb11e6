"""What the document says of an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CURSOR", "GZIP", "Endpoint", "Query"]


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the query."""

    name: str
    about: str
    schema: Mapping[str, Any]
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one path. Refusals that follow from the rest (no token, no scope, a bad name) are not listed."""

    method: str
    path: str
    tag: str
    about: str
    scopes: tuple[str, ...] = ()
    """One of them is enough; with none the endpoint needs no token."""
    query: tuple[Query, ...] = ()
    body: Any = None
    """The type of its JSON body."""
    is_body_required: bool = True
    form: Mapping[str, Any] | None = None
    """The schema of its form, where it takes one."""
    media_type: str = "application/json"
    status: int = 200
    answer: Any = None
    """The type of its JSON answer; ``None`` for an answer without a body."""
    refusals: tuple[int, ...] = ()
    details: str = ""
    links: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """Where one can go from its success: for a method and a path, where each parameter comes from."""


CURSOR = Query("cursor", "Where the page before ended; absent for the first page.", {"type": "string"})
GZIP = Query("gzip", "Announces code that is gzipped; needs no value.", {"type": "string"})
