"""The actors of a system as a text: one a line, children below their parents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from perdure.json_value import encode_json

if TYPE_CHECKING:
    from perdure.actors.actor import Actor

__all__ = ["drawn_tree"]


def drawn_tree(roots: Iterable[Actor]) -> Iterator[str]:
    """The lines of the tree. Needs no recursion, so that it can draw a system of any depth."""
    pending: list[tuple[str, str, Actor]] = [("", "", root) for root in roots][::-1]
    while pending:
        first, below, actor = pending.pop()
        yield f"{first}{actor.id}  {standing(actor)}"
        children = list((actor.children or {}).values())
        for child in reversed(children):
            is_last = child is children[-1]
            branch, beside = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
            pending.append((below + branch, below + beside, child))


def standing(actor: Actor) -> str:
    """What kind of actor it is, its status unless that is the usual one, and where it stands."""
    words = [actor.kind]
    if actor.status != "active":
        words.append(actor.status)
    place = actor.place()
    if place is not None:
        words.append(place if isinstance(place, str) else encode_json(place).decode())
    return "  ".join(words)
