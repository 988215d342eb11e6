"""The book of families and groups: who is whose child, who is in which group, and who heard which broadcast.

It is kept from what was committed, in the order in which it was: mail that was applied makes ties and ends them, events
in the journals join groups, leave them and broadcast to them. What the runtime and the store make of the same is held
against it, each commit at once and the whole at rest (``tests.simulation.family_invariants``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from perdure import Address
from perdure.durable.commit import Commit
from perdure.durable.records import InstanceRecord, JournalEntry, Mail
from perdure.json_value import JsonObject, encode_json
from perdure.statechart import step as engine
from perdure.statechart.effect import Done, ParentTarget, Send
from perdure.statechart.event import ESCALATED, INIT
from tests.simulation.machines import CRYING, HOME, JOINING, LEAVING

__all__ = ["Cry", "FamilyBook", "Life", "Tie"]

Life: TypeAlias = tuple[Address, str]
"""One life of an instance."""
Tie: TypeAlias = tuple[Address, str]
"""A parent, and the id by which it knows the child."""


@dataclass(frozen=True, slots=True)
class Cry:
    """A broadcast, and who was in the group when it was committed."""

    number: int
    group: str
    members: frozenset[Life]


class FamilyBook:
    def __init__(self) -> None:
        self.ties: dict[Address, dict[Tie, bool]] = {}
        """Of each child its ties; for each whether it is detached."""
        self.held: set[Life] = set()
        """Who was ever held by a parent."""
        self.cries: dict[int, Cry] = {}
        self.heard: Counter[tuple[int, Life]] = Counter()
        """How often each broadcast, by its number, was applied by whom."""
        self._groups: dict[str, set[Life]] = {}

    def committed(
        self, before: InstanceRecord | None, commit: Commit, consumed: Sequence[Mail], steps: Sequence[engine.Step]
    ) -> list[str]:
        """Take a commit into account. Returns what is wrong with it. ``steps`` are those of its journal."""
        return [*self._tied(commit.record, consumed), *self._spoken(commit, steps), *self._grouped(before, commit)]

    def deleted(self, address: Address) -> None:
        self.ties.pop(address, None)
        self._leave(address, self._groups)

    def posted(self, mail: Iterable[Mail]) -> None:
        """The host application has sent this."""
        for each in mail:
            if each.kind == "broadcast" and each.event is not None:
                self._cry(each.event["number"], each.target.instance)

    # -- ties ----------------------------------------------------------------------------------------------------------

    def _tied(self, record: InstanceRecord, consumed: Sequence[Mail]) -> list[str]:
        """Ties are those that were asked for and not let go, and who loses the last one that held it is stopped."""
        ties = self.ties.setdefault(record.address, {})
        lets_go = False
        for mail in consumed:
            if mail.creation is None:
                continue
            tie = (mail.sender, mail.creation.child_id)
            if mail.kind in ("create", "adopt"):
                ties[tie] = mail.creation.detached
                if not mail.creation.detached:
                    self.held.add((record.address, record.life))
            elif mail.kind == "stop":
                lets_go |= ties.pop(tie, None) is not None
        if record.snapshot.status != "active":
            return []
        present = {(parent.address, parent.child_id): parent.detached for parent in record.parents}
        found = [] if present == ties else [f"{record.address} has the ties {present}, and should have {ties}"]
        if lets_go and all(ties.values()):
            found.append(f"{record.address} lives on though nobody holds it any more")
        return found

    def _spoken(self, commit: Commit, steps: Sequence[engine.Step]) -> list[str]:
        """What a child says to its parent, its end included, is sent to every parent that it has."""
        said: Counter[tuple[Address, bytes]] = Counter()
        for parent, child_id in self.ties[commit.record.address]:
            for effect in (effect for step in steps for effect in step.effects):
                if isinstance(effect, Send) and isinstance(effect.target, ParentTarget):
                    word = effect.event
                    if word["type"] == ESCALATED:
                        word = {"type": f"error.platform.{child_id}", "data": word.get("data")}
                    said[parent, encode_json(word)] += 1
                elif isinstance(effect, Done):
                    end: JsonObject = {"type": f"done.invoke.{child_id}", "data": effect.output}
                    said[parent, encode_json(end)] += 1
        sent = Counter((mail.target, encode_json(mail.event)) for mail in commit.mail)
        return [
            f"{commit.record.address} said {event.decode()} to its parents, and {parent} is not told"
            for parent, event in (said - sent)
        ]

    # -- groups --------------------------------------------------------------------------------------------------------

    def _grouped(self, before: InstanceRecord | None, commit: Commit) -> list[str]:
        record = commit.record
        life = (record.address, record.life)
        cries: list[JournalEntry] = []
        for entry in commit.journal:
            event_type = entry.event["type"]
            if event_type == "CRIED" and record.address.machine == "clan":  # others are passed it on by their parent
                self.heard[entry.event["number"], life] += 1
            if record.address.machine != "clan" or (before is not None and before.snapshot.status != "active"):
                continue
            if event_type == INIT:
                self._groups.setdefault(HOME, set()).add(life)
            elif event_type in JOINING:
                self._groups.setdefault(entry.event["group"], set()).add(life)
            elif event_type in LEAVING:
                self._leave(record.address, [entry.event["group"]])
            if event_type in CRYING:
                cries.append(entry)
        if record.snapshot.status != "active":
            self._leave(record.address, self._groups)
        found: list[str] = []
        for entry in cries:
            number = entry.event["number"]
            self._cry(number, entry.event["group"])
            sent = [mail for mail in commit.mail if mail.kind == "broadcast"]
            if [(mail.target.instance, mail.event) for mail in sent] != [
                (entry.event["group"], {"type": "CRIED", "number": number})
            ]:
                found.append(f"{record.address} has {entry.event} in its journal, and has sent {sent}")
        return found

    def _cry(self, number: int, group: str) -> None:
        self.cries[number] = Cry(number, group, frozenset(self._groups.get(group, ())))

    def _leave(self, address: Address, groups: Iterable[str]) -> None:
        for group in list(groups):
            self._groups[group] = {life for life in self._groups.get(group, ()) if life[0] != address}
