"""What happens among those that work: services that are tried again, bosses with their aides, children that the host
application gives to others, dead letters that are sent once more, and requests that are made again under their key.

It has chance of its own, as families have.
"""

from __future__ import annotations

import random  # noqa: TID251 - seeded: a seed is a world
from collections.abc import Iterator, Sequence

from perdure import Address
from tests.simulation.families import ORG, Act

__all__ = ["Trades"]

TRIERS = 2
BOSSES = 2
ACTS = 0.5
"""How often there is an act, of each step of a world."""
NEAR = 3
"""So many of the latest aides are spoken of."""
KEPT = 5
"""So many of the latest requests with a key may be made again."""


class Trades:
    """Chooses acts."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"trades of {seed}")
        self.triers = [Address(ORG, "trier", f"i{number}") for number in range(TRIERS)]
        self.bosses = [Address(ORG, "boss", f"i{number}") for number in range(BOSSES)]
        self._aides: list[Address] = []
        self._keyed: list[Act] = []

    def next_act(self, numbers: Iterator[int], clans: Sequence[Address], kids: Sequence[Address]) -> Act | None:
        """Perhaps the next one. ``numbers`` are those of events, ``clans`` and ``kids`` whom the host may bring
        together.
        """
        if self.chance.random() >= ACTS:
            return None
        kind = self.chance.random()
        workers = [*self.triers, *self.bosses]
        if kind < 0.03:
            return Act("delete", self.chance.choice(workers))
        if kind < 0.08:
            return Act(self.chance.choice(("paused", "running", "running")), self.chance.choice(workers))
        if kind < 0.15:
            return Act("redrive", self.chance.choice(workers))
        if kind < 0.22 and kids:
            return self._adoption(self.chance.choice(clans), self.chance.choice(kids[-NEAR:]))
        if kind < 0.40:
            return self._keyed_act(numbers)
        if kind < 0.66:
            return self._trial(next(numbers))
        if kind < 0.80 and self._aides:
            event_type = self.chance.choice(("NOTE", "FAIL", "FAIL", "END"))
            return Act("send", self.chance.choice(self._aides[-NEAR:]), {"type": event_type, "number": next(numbers)})
        return self._command(next(numbers))

    def _adoption(self, clan: Address, kid: Address) -> Act:
        wish = {name: self.chance.random() < 0.4 for name in ("detached", "auto_forward", "sync")}
        return Act("adopt", clan, {"kid": kid, "child_id": self.chance.choice((None, "place")), **wish})

    def _trial(self, number: int) -> Act:
        event_type = self.chance.choice(("TRY", "TRY", "TRY", "LEAVE", "NOTE"))
        return Act("send", self.chance.choice(self.triers), {"type": event_type, "number": number})

    def _command(self, number: int) -> Act:
        event_type = self.chance.choice(("HIRE", "HIRE", "NOTE", "NOTE", "NOTE", "FIRE"))
        if self.chance.random() < 0.03:
            event_type = "REST"
        if event_type == "HIRE":
            self._aides.append(Address(ORG, "aide", f"kid-{number}"))
        return Act("send", self.chance.choice(self.bosses), {"type": event_type, "number": number})

    def _keyed_act(self, numbers: Iterator[int]) -> Act:
        """A request with a key, or one that was made before."""
        if self._keyed and self.chance.random() < 0.6:
            return self.chance.choice(self._keyed[-KEPT:])
        number = next(numbers)
        where, event_type = self.chance.choice((("teller", "ADD"), ("teller", "SELF"), ("caller", "CALL")))
        address = Address(ORG, where, f"i{self.chance.randrange(2)}")
        self._keyed.append(Act("keyed", address, {"type": event_type, "number": number}))
        return self._keyed[-1]
