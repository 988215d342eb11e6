"""What a server may be told, with a default and a unit for everything, and every limit it keeps."""

from __future__ import annotations

import msgspec

from perdure.durable.limits import ensure_sensible

__all__ = ["ServerSettings"]


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one HTTP application. Sizes are bytes, times are milliseconds."""

    public_url: str | None = None
    """Where callers reach this server, path prefix included: upload addresses are built from it. ``None`` takes each
    request's own host, which suits a server that is reached directly and not one behind a proxy that renames it."""
    allow_code_upload: bool = False
    """Whether ``machine-versions.write`` is enough to bring code into this process."""
    allow_org_creation: bool = False
    """Whether ``org.write`` is enough to create further orgs over HTTP."""
    page_size: int = 100
    """Rows per page of every list."""
    body_bytes_max: int = 2_000_000
    """A JSON body; larger ones get 413. A context of 400 kB fits however its characters are escaped."""
    code_bytes_max: int = 10_000_000
    """Machine code, unzipped."""
    gzipped_code_bytes_max: int = 1_000_000
    """Machine code that is uploaded gzipped."""
    migration_body_bytes_max: int = 16_000_000
    """The announcement of a migration: State Backed's client repeats the code in it, a number for each byte."""
    upload_lifetime: float = 3_600_000.0
    """How long after its first half an upload may be completed."""
    token_leeway: float = 5_000.0
    """How long after its expiry a token is still good: clients go on using one for a second or two."""
    tokens_cached_max: int = 4_096
    """Verified tokens kept so that the next request with one costs no signature check."""
    keys_cached_max: int = 1_024
    key_freshness: float = 30_000.0
    """How long a key is trusted without asking the store: the bound on how late this process learns that another one
    deleted it. A deletion by this process holds at once."""
    versions_cached_max: int = 4_096
    realtime_idle_timeout: float = 600_000.0
    """A WebSocket that says nothing for this long is closed; clients ping every five minutes."""
    realtime_subscriptions_max: int = 1_000
    """Subscriptions of one WebSocket."""
    realtime_connections_max: int = 20_000
    """WebSockets of this process; further ones are refused at their upgrade."""
    realtime_messages_max: int = 5_000
    """Messages that one WebSocket may send within ten seconds; what it sends beyond that waits for the next ten. A
    client that comes back subscribes to everything at once, so this is more than the subscriptions it may have."""
    realtime_message_bytes_max: int = 16_384
    """A message from a WebSocket's client."""
    open_metrics: bool = False
    """Whether ``/metrics`` answers everybody, and not only tokens with the scope ``analytics.read``."""
    log_requests: bool = True
    """Whether every request gets a line at level info. Warnings and errors are logged in any case."""

    def __post_init__(self) -> None:
        ensure_sensible(self)
