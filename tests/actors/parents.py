"""A parent for any kind of child, which notes what it hears of it."""

from __future__ import annotations

import asyncio
from typing import Any

from perdure import create_machine, forward_to, interpret
from perdure.actors.interpreter import RootActor
from perdure.clock import TimerClock
from tests.actors.machines import note


class Parent:
    """A machine that invokes ``kid`` while it is in ``with``; LEAVE leads to ``without``, FORWARD hands events on."""

    def __init__(self, source: Any, *, clock: TimerClock | None = None, **invoke: Any) -> None:
        self.heard: list[Any] = []
        others = {"actions": note(self.heard)}
        config = {
            "id": "parent",
            "initial": "with",
            "context": {"offset": 1},
            "states": {
                "with": {
                    "invoke": {"id": "kid", "src": source, **invoke},
                    "on": {
                        "LEAVE": "without",
                        "FORWARD": {"actions": forward_to("kid")},
                        "*": others,
                    },
                },
                "without": {"on": {"*": others, "BACK": "with"}},
            },
        }
        self.actor: RootActor[Any] = interpret(create_machine(config), clock=clock)

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.heard]

    async def hears(self, event_type: str) -> dict[str, Any]:
        """Wait for an event of this type; a test that would hang fails."""
        for _ in range(5_000):
            for event in self.heard:
                if event["type"] == event_type:
                    found: dict[str, Any] = event
                    return found
            await asyncio.sleep(0.001)
        raise AssertionError(f"never heard {event_type}, only {self.heard}")
