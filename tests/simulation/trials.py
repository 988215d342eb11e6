"""Services that are tried again: a machine that has one, and the account of all attempts at it.

A series is all attempts at one service: those that one event has asked for. The book learns of a series from commits,
and of attempts from the service itself, so that it can say of each attempt whether it was written down before it began,
whether it is told from others by its key alone, and whether anybody needed it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from perdure import Address, Meta, assign
from perdure.durable.commit import Commit
from perdure.durable.records import InstanceRecord, Mail
from perdure.statechart.event import done_invoke_type, error_platform_type
from perdure.statechart.snapshot import Child, Snapshot

__all__ = ["TrialBook", "trier", "without_attempts"]

ATTEMPTS = 3
ATTEMPT_MILLISECONDS_MAX = 20_000
BACKOFF = {"initial": 1_000, "factor": 3}
TRIAL = "trial"

Service = Callable[[dict[str, Any], dict[str, Any], Meta], Any]


def trier(remember: Any, service: Service) -> dict[str, Any]:
    """Has a service tried at TRY, anew if it is at it, and remembers what came of it."""
    trial = {"target": "busy", "actions": remember}
    outcome = assign(heard=lambda context, event: [*context["heard"], [event["type"], None]])
    return {
        "initial": "idle",
        "context": {"heard": []},
        "on": {"NOTE": {"actions": remember}},
        "states": {
            "idle": {"on": {"TRY": trial}},
            "busy": {
                "invoke": {
                    "id": TRIAL,
                    "src": service,
                    "retry": {"attempts": ATTEMPTS, "backoff": BACKOFF, "timeout": ATTEMPT_MILLISECONDS_MAX},
                    "onDone": {"target": "idle", "actions": outcome},
                    "onError": {"target": "idle", "actions": outcome},
                },
                "on": {"TRY": trial, "LEAVE": {"target": "idle", "actions": remember}},
            },
        },
    }


def without_attempts(snapshot: Snapshot) -> Snapshot:
    """The snapshot as its journal knows it: which attempt has begun last is no transition."""
    if all(child.retry is None for child in snapshot.children.values()):
        return snapshot
    children = {
        child_id: msgspec.structs.replace(child, attempt=0, given=None) for child_id, child in snapshot.children.items()
    }
    return msgspec.structs.replace(snapshot, children=children)


@dataclass(slots=True)
class Series:
    """The attempts that one event has asked for; ``number`` is the event's."""

    number: int
    begun: int = 0
    """The last attempt that is written down."""
    key: str | None = None
    context: Any = None
    """What the first attempt that ran was given."""
    ran: list[int] = field(default_factory=list)
    has_returned: bool = False
    has_succeeded: bool = False
    """Its success is committed."""


class TrialBook:
    def __init__(self) -> None:
        self.series: dict[int, Series] = {}
        self._keys: dict[str, int] = {}

    def committed(self, before: InstanceRecord | None, commit: Commit, pending: Iterable[Mail]) -> list[str]:
        """Take a commit into account. Returns what is wrong with it. ``pending`` is the mail that there is now."""
        record, found = commit.record, self._ended(before, commit)
        former = {} if before is None else before.snapshot.children
        for child in record.snapshot.children.values():
            if child.retry is None:
                continue
            series = self.series.setdefault(numbered(child), Series(numbered(child)))
            last = former.get(child.id)
            begun = last.attempt if last is not None and last.session == child.session else 0
            if child.attempt not in (begun, begun + 1) or not 1 <= child.attempt <= child.retry.attempts:
                found.append(f"of {series} attempt {child.attempt} is written down after attempt {begun}")
            series.begun = max(series.begun, child.attempt)
            found += self._backing(record.address, child, pending) if record.snapshot.status == "active" else []
        return found

    def _backing(self, address: Address, child: Child, pending: Iterable[Mail]) -> list[str]:
        """Of a series that goes on there is always one piece of mail, which outlives every crash."""
        backing = [
            mail
            for mail in pending
            if mail.kind == "attempt" and mail.target == address and (mail.event or {}).get("session") == child.session
        ]
        return [] if len(backing) == 1 else [f"attempt {child.attempt} of {address} is backed by {len(backing)} mails"]

    def _ended(self, before: InstanceRecord | None, commit: Commit) -> list[str]:
        child = None if before is None else before.snapshot.children.get(TRIAL)
        if child is None or child.retry is None:
            return []
        series, found = self.series[numbered(child)], []
        for event in (entry.event for entry in commit.journal):
            if event["type"] == done_invoke_type(TRIAL):
                if series.has_succeeded or not series.has_returned or event["data"] != series.number:
                    found.append(f"{commit.record.address} has {event} in its journal, of {series}")
                series.has_succeeded = True
            elif event["type"] == error_platform_type(TRIAL) and series.begun < ATTEMPTS:
                found.append(f"{commit.record.address} was told that {series} has failed")
        return found

    def ran(self, number: int, key: str | None, attempt: int, context: Any, *, is_alone: bool) -> list[str]:
        """An attempt begins. Returns what is wrong with that. Where two runtimes serve one store, the one may take the
        other's for lost, and be faster.
        """
        series, found = self.series.get(number), []
        if series is None or attempt > series.begun:
            return [f"attempt {attempt} at trial {number} ran without its commit"]
        if attempt in series.ran or (is_alone and series.ran and attempt < series.ran[-1]):
            found.append(f"attempt {attempt} of {series} ran twice, or late")
        if series.has_succeeded and is_alone:
            found.append(f"attempt {attempt} of {series} ran after its success")
        if key is None or self._keys.setdefault(key, number) != number or series.key not in (None, key):
            found.append(f"attempt {attempt} of {series} ran under the key {key}")
        if series.ran and series.context != context:
            found.append(f"attempt {attempt} of {series} was given {context}")
        series.key, series.context = key, context
        series.ran.append(attempt)
        return found

    def returned(self, number: int) -> None:
        self.series[number].has_returned = True


def numbered(child: Child) -> int:
    """The number of the event that asked for this service."""
    assert child.given is not None, "the snapshot of an instance says what is tried again"
    number: int = child.given["event"]["number"]
    return number
