"""The operations of a server's upkeep, for ``Client.run`` and ``AsyncClient.run``: dead letters, journals, logs."""

from __future__ import annotations

from urllib.parse import quote

from perdure import wire_upkeep
from perdure.client.exchange import Operation, ask, follow, tell

__all__ = [
    "drop_dead_letter",
    "get_dead_letter",
    "get_retention",
    "list_dead_letters",
    "logs",
    "redrive_dead_letter",
    "set_retention",
    "shorten_journals",
]


def list_dead_letters(limit: int | None = None) -> Operation[list[wire_upkeep.DeadLetter]]:
    """Messages that were given up, oldest first."""
    page = wire_upkeep.DeadLettersPage
    return (yield from follow("/dead-letters", page, lambda found: found.dead_letters, limit))


def get_dead_letter(letter_id: str) -> Operation[wire_upkeep.DeadLetter]:
    return (yield from ask("GET", _letter(letter_id), wire_upkeep.DeadLetter))


def redrive_dead_letter(letter_id: str) -> Operation[None]:
    """Deliver it again, as if nobody had tried yet."""
    return (yield from tell("POST", f"{_letter(letter_id)}/redrive"))


def drop_dead_letter(letter_id: str) -> Operation[None]:
    return (yield from tell("DELETE", _letter(letter_id)))


def get_retention(machine: str) -> Operation[wire_upkeep.JournalRetention]:
    return (yield from ask("GET", _retention(machine), wire_upkeep.JournalRetention))


def set_retention(machine: str, *, entries: int | None, days: float | None) -> Operation[None]:
    """Keep so many entries and so many days of each journal; ``None`` is no limit."""
    body = wire_upkeep.JournalRetention(entries=entries, days=days)
    return (yield from tell("PUT", _retention(machine), body=body))


def shorten_journals(machine: str) -> Operation[int]:
    """Delete at once what is no longer kept; how many entries."""
    answer = yield from ask("POST", _retention(machine), wire_upkeep.Removed)
    return answer.removed


def logs(
    since: str,
    *,
    until: str | None = None,
    machine: str | None = None,
    instance: str | None = None,
    version: str | None = None,
) -> Operation[wire_upkeep.Logs]:
    """What machine code has printed and logged since a time; ``max_timestamp`` is the time to go on from."""
    filters = {"from": since, "to": until, "machine": machine, "instance": instance, "version": version}
    query = {key: value for key, value in filters.items() if value is not None}
    return (yield from ask("GET", "/logs", wire_upkeep.Logs, query=query))


def _letter(letter_id: str) -> str:
    return f"/dead-letters/{quote(letter_id, safe='')}"


def _retention(machine: str) -> str:
    return f"/machines/{quote(machine, safe='')}/journal-retention"
