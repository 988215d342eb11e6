"""Children that get every event of their parent: machines that have some, and the account of what is passed on.

A boss has an aide, which follows it: each event that the boss takes, the aide gets before the boss has handled it, and
the boss sees where the aide stands. The aide may report an error and go on.

What becomes of mail once it is sent is everybody's concern: that it is applied once, in order. Here it is held against
the journals that what should be passed on is sent by the very commit, and that what is applied is there to be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from perdure import Address, assign, escalate, persistent
from perdure.durable.commit import Commit
from perdure.durable.records import InstanceRecord, JournalEntry, Mail
from perdure.json_value import JsonObject, encode_json
from perdure.statechart import step as engine
from perdure.statechart.event import ADOPT, DONE_INVOKE, ERROR_PLATFORM, INIT, PROGRESS, STOP, UPDATE, UPGRADE
from perdure.statechart.snapshot import Snapshot

__all__ = ["aide", "applied_otherwise", "boss", "passed_on_otherwise"]

SILENT = (INIT, STOP, UPGRADE, ADOPT)
"""What a journal has that is no event to the machine."""


def boss(remember: Any, kid_name: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    known = assign(known=lambda context, event: {**context["known"], "aide": event["snapshot"]})
    return {
        "initial": "alone",
        "context": {"heard": [], "known": {}},
        "on": {"NOTE": {"actions": remember}, "REST": {"target": ".over", "actions": remember}},
        "states": {
            "alone": {"on": {"HIRE": {"target": "helped", "actions": remember}}},
            "helped": {
                "invoke": {
                    "id": "aide",
                    "src": persistent("aide", name=lambda context, event: kid_name(event)),
                    "autoForward": True,
                    "onSnapshot": {"actions": known},
                    "onDone": {"target": "alone", "actions": remember},
                    "onError": {"actions": remember},
                },
                "after": {"9000": {"actions": remember}},
                "on": {
                    "HIRE": {"target": "helped", "actions": remember},
                    "FIRE": {"target": "alone", "actions": remember},
                },
            },
            "over": {"type": "final"},
        },
    }


def aide(remember: Any, is_accepted: Callable[[], bool]) -> dict[str, Any]:
    on = {
        "NOTE": {"cond": is_accepted, "actions": remember},
        "FAIL": {"actions": [remember, escalate(lambda context, event: {"number": event["number"]})]},
        "END": {"target": ".gone", "actions": remember},
    }
    return {
        "initial": "here",
        "context": {"heard": []},
        "on": on,
        "states": {"here": {"after": {"4000": {"actions": remember}}}, "gone": {"type": "final", "data": 7}},
    }


# -- what the machine takes, its shadows get first ---------------------------------------------------------------------


def passed_on_otherwise(before: InstanceRecord | None, commit: Commit, steps: Sequence[engine.Step]) -> list[str]:
    """Whether each event of this commit goes on to each child that is to have it, in the order of the events."""
    address = commit.record.address
    snapshots = [None if before is None else before.snapshot, *(step.snapshot for step in steps)]
    due: dict[Address, list[bytes]] = {}
    for snapshot, entry in zip(snapshots, commit.journal, strict=False):
        for child_id in [] if snapshot is None else followers(snapshot, entry):
            child = snapshot.children[child_id]  # type: ignore[union-attr]  # it has followers
            kid = Address(address.org, child.source, child.instance or "")
            due.setdefault(kid, []).append(encode_json(entry.event))
    found = []
    for kid, events in due.items():
        sent = [encode_json(mail.event) for mail in commit.mail if mail.target == kid and mail.kind == "event"]
        rest = iter(sent)
        if not all(event in rest for event in events):
            found.append(f"{address} has taken {events}, of which {kid} gets {sent}")
        if any(count > Counter(events)[event] for event, count in Counter(sent).items() if event in events):
            found.append(f"{kid} gets {sent} of {address}, which has taken {events}")
    return found


def followers(snapshot: Snapshot, entry: JournalEntry) -> list[str]:
    """The ids of the children that get this event: not the one of whose end it is the word."""
    event_type: str = entry.event["type"]
    if snapshot.status != "active" or event_type in SILENT or event_type.startswith(PROGRESS):
        return []
    ended = [prefix + child_id for prefix in (DONE_INVOKE, ERROR_PLATFORM) for child_id in snapshot.children]
    return [
        child.id
        for child in snapshot.children.values()
        if child.auto_forward and not (event_type in ended and event_type.endswith(f".{child.id}"))
    ]


# -- what is applied is in the journal ---------------------------------------------------------------------------------


def applied_otherwise(before: InstanceRecord | None, commit: Commit, consumed: Sequence[Mail]) -> list[str]:
    """Whether the mail that this commit has taken is in its journal, each piece once; word of nobody's child is not."""
    found = []
    for mail in consumed:
        if mail.kind not in ("event", "share") or before is None:
            continue
        entries = [entry for entry in commit.journal if entry.event == mail.event]
        alike = [other for other in consumed if other.event == mail.event and not is_void(before, other)]
        if len(entries) != len(alike):
            found.append(f"{commit.record.address} has mail {mail.id}, {mail.event}, in its journal: {entries}")
    return found


def is_void(before: InstanceRecord, mail: Mail) -> bool:
    return is_word_of_nobody(before, mail) or (mail.kind == "share" and before.snapshot.status in ("stopped", "error"))


def is_word_of_nobody(before: InstanceRecord, mail: Mail) -> bool:
    """Whether it is said of a child that the instance does not have, or no longer, or that a former life of it had."""
    event: JsonObject = mail.event or {}
    if not mail.is_platform and (mail.sender == mail.target or not event["type"].startswith(ERROR_PLATFORM)):
        return False
    if mail.creation is not None and mail.creation.life not in ("", before.life):
        return True
    child = before.snapshot.children.get(event["id"] if event["type"] == UPDATE else event["type"].split(".", 2)[2])
    speaker = (mail.sender.machine, mail.sender.instance)
    return before.snapshot.status != "active" or child is None or (child.source, child.instance) != speaker
