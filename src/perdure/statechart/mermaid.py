"""Machines as Mermaid state diagrams (``stateDiagram-v2``), which Markdown on many hosts shows as a picture.

Mermaid knows neither arrows across composite states nor history. A state belongs to the composite in whose braces it is
mentioned **last**, so that arrows that cross a border come first, and within braces arrows come before the states that
they lead to. A history state is a plain state called ``H`` or ``H*``.
"""

from __future__ import annotations

import re

from perdure.statechart.drawing import Arrow, Block, Drawing, Lines, draw, history_label, laid_out, title
from perdure.statechart.machine import Machine, StateNode

__all__ = ["to_mermaid"]


# fmt: off
RESERVED = frozenset((
    "__proto__", "accdescr", "acctitle", "as", "choice", "class", "classdef", "click", "constructor", "default",
    "direction", "end", "fork", "hide", "href", "join", "left", "note", "of", "over", "right", "root", "scale",
    "state", "style",
))
# fmt: on
"""Words that Mermaid, or the JavaScript objects that it keeps states in, would take for something else."""

UNSAFE = re.compile(r"[^\w \-+*.,/()\[\]=!?'|&]")
"""What Mermaid might read as syntax or HTML inside a label."""

PHRASE = re.compile(r"(direction|end)\s+(?=TB|BT|RL|LR|note)", re.IGNORECASE)
"""What Mermaid takes for syntax wherever on a line it stands."""


def to_mermaid(machine: Machine) -> str:
    """The machine as the text of a Mermaid diagram.

    The root is drawn as a state of its own when there is something to say about it: when it is parallel, has actions or
    invocations, or an arrow begins or ends there.
    """
    drawing = draw(machine)
    writer = Writer(drawing, state_ids(machine))
    root = machine.root
    arrows = [arrow for arrow in drawing.arrows if root in arrow[:2]]
    is_drawn = root.kind != "compound" or root in drawing.notes or arrows
    body = writer.declaration(root) if is_drawn else writer.inside(root)
    whole = Block(iter([writer.crossing(root), body]))
    return "\n".join(laid_out(iter(["stateDiagram-v2", whole]))) + "\n"


class Writer:
    """One diagram being written."""

    def __init__(self, drawing: Drawing, ids: dict[StateNode, str]) -> None:
        self.drawing = drawing
        self.ids = ids

    def crossing(self, root: StateNode) -> Lines:
        """The arrows between states that are not in the same braces, and those of the root to itself."""
        for arrow in self.drawing.arrows:
            if arrow.source.parent is not arrow.target.parent or arrow.source is root:
                yield self.arrow(arrow)

    def inside(self, node: StateNode) -> Lines:
        """What stands between the braces of a state with children."""
        for target in node.initial:
            yield f"[*] --> {self.ids[target]}"
        for arrow in self.drawing.arrows:
            if arrow.source.parent is node and arrow.target.parent is node:
                yield self.arrow(arrow)
        is_first = True
        for child in node.children.values():
            if node.kind == "parallel" and child.kind != "history":
                if not is_first:
                    yield "--"
                is_first = False
            yield self.declaration(child)

    def declaration(self, node: StateNode) -> Lines:
        """A state with all that is in it and beside it."""
        name, label = self.ids[node], escaped(history_label(node) if node.kind == "history" else title(node))
        if node.children:
            yield f'state "{label}" as {name} {{'
            yield Block(self.inside(node))
            yield "}"
        else:
            yield f'state "{label}" as {name}'
        if node.kind == "final":
            yield f"{name} --> [*]"
        if node in self.drawing.notes:
            yield f"note right of {name}"
            yield Block(escaped(line) for line in self.drawing.notes[node])
            yield "end note"

    def arrow(self, arrow: Arrow) -> str:
        return f"{self.ids[arrow.source]} --> {self.ids[arrow.target]} : {escaped(arrow.label)}"


def state_ids(machine: Machine) -> dict[StateNode, str]:
    """A name for each state that Mermaid takes for nothing else: its path, made of letters, digits and ``_``."""
    ids: dict[StateNode, str] = {}
    taken: set[str] = set()
    for node in machine.nodes:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(node.path) or node.id).strip("_") or "state"
        name = f"{plain}_" if plain.lower() in RESERVED or plain[0].isdigit() else plain
        number = 2
        while name.lower() in taken:
            name, number = f"{plain}_{number}", number + 1
        taken.add(name.lower())
        ids[node] = name
    return ids


def escaped(text: str) -> str:
    """A label with all that might be syntax as character entities, which Mermaid turns back."""
    whole = UNSAFE.sub(lambda found: f"#{ord(found.group())};", text)
    return PHRASE.sub(r"\1#32;", whole)
