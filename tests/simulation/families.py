"""What happens among relatives and in groups: which member of a clan is told what, and what befalls it.

It has chance of its own, so that what else happens in a world depends on it no more than it must.
"""

from __future__ import annotations

import random  # noqa: TID251 - seeded: a seed is a world
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from perdure import Address
from perdure.durable.records import group_address
from tests.simulation.machines import HOME

__all__ = ["GROUPS", "ORG", "Act", "Families"]

ORG = "org_simulation"
CLANS = 4
"""Members of clans that clients create."""
GROUPS = (HOME, "hill")
ACTS = 0.6
"""How often there is an act, of each step of a world."""
NEAR = 5
"""So many of the latest children are spoken of."""

Kind: TypeAlias = Literal["send", "keyed", "delete", "paused", "running", "broadcast", "adopt", "redrive"]


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a client or the host application does; to a group, if it is a broadcast. Of an adoption ``event``
    says who is adopted, and how.
    """

    kind: Kind
    address: Address
    event: dict[str, Any] = field(default_factory=dict)


class Families:
    """Chooses acts."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"families of {seed}")
        self.clans = [Address(ORG, "clan", f"i{number}") for number in range(CLANS)]
        self.kids: list[Address] = []
        """Children that somebody was told to have: some of them never come to be."""

    def expect(self, machine: str, number: int) -> Address:
        """Somebody is told to have this child."""
        self.kids.append(Address(ORG, machine, f"kid-{number}"))
        return self.kids[-1]

    def next_act(self, numbers: Iterator[int]) -> Act | None:
        """Perhaps the next one. ``numbers`` are those of events."""
        if self.chance.random() >= ACTS:
            return None
        kind, clan = self.chance.random(), self.chance.choice(self.clans)
        if kind < 0.03:
            return Act("delete", clan)
        if kind < 0.07:
            return Act(self.chance.choice(("paused", "running")), clan)
        number = next(numbers)
        if kind < 0.13:
            group = group_address(ORG, self.chance.choice(GROUPS))
            return Act("broadcast", group, {"type": "CRIED", "number": number})
        wards = [kid for kid in self.kids if kid.machine == "ward"][-NEAR:]
        if kind < 0.25 and wards:
            event_type = self.chance.choice(("PING", "PING", "GROW", "GROW", "END"))
            return Act("send", self.chance.choice(wards), {"type": event_type, "number": number})
        return Act("send", clan, self._event(number))

    def _event(self, number: int) -> dict[str, Any]:
        kind = self.chance.random()
        if kind < 0.45:
            types = ("JOIN", "JOIN", "CRY", "CRY", "JOIN_AND_CRY", "CRY_AND_QUIT", "QUIT")
            return {
                "type": self.chance.choice(types),
                "number": number,
                "group": self.chance.choice(GROUPS),
                "to": self.chance.choice(self.clans).instance,
            }
        if kind < 0.47:
            return {"type": "END", "number": number}
        if kind < 0.6 or not self.kids:
            kid = self.expect(self.chance.choice(("kid", "ward", "ward")), number)
            return {"type": "BEAR", "number": number, "machine": kid.machine, "kid": kid.instance}
        ways = ("ADOPT", "ADOPT_KNOWN", "ADOPT_LOOSELY", "ADOPT_IN_PLACE", "DROP", "DROP", "PING", "PING")
        kid, event_type = self.chance.choice(self.kids[-NEAR:]), self.chance.choice(ways)
        if event_type == "ADOPT" and self.chance.random() < 0.3:
            kid = self.chance.choice(self.clans)
        return {"type": event_type, "number": number, "machine": kid.machine, "kid": kid.instance}
