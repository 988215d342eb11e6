"""Machines and ways to look at them that several tests of actors share."""

from __future__ import annotations

from typing import Any

from perdure import Actor, Machine, assign, create_machine, respond, send_parent


def counter() -> Machine[Any]:
    """Counts INC; answers ASK with its count."""
    return create_machine(
        {
            "id": "counter",
            "initial": "counting",
            "context": {"n": 0},
            "states": {
                "counting": {
                    "on": {
                        "INC": {"actions": assign(n=lambda context: context["n"] + 1)},
                        "ASK": {"actions": respond(lambda context: {"type": "COUNT", "n": context["n"]})},
                        "REPORT": {"actions": send_parent(lambda context: {"type": "COUNT", "n": context["n"]})},
                        "END": "ended",
                    }
                },
                "ended": {"type": "final", "data": lambda context: context["n"]},
            },
        }
    )


def recording(log: list[Any], *events: str) -> dict[str, Any]:
    """Transitions that note each of these events, whole, in a list."""
    return {name: {"actions": note(log)} for name in events}


def note(log: list[Any]) -> Any:
    def write(context: Any, event: dict[str, Any]) -> None:
        log.append(event)

    return write


def child(parent: Actor, child_id: str) -> Actor:
    """A running child of an actor."""
    found = parent.system.get(f"{parent.path}/{child_id}")
    assert found is not None, f"{parent.path} has no child {child_id!r}:\n{parent.system}"
    return found
