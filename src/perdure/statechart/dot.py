"""Machines as Graphviz graphs: a cluster for each state with children, a node for each without.

Graphviz draws edges between nodes only, so that each cluster has a point that stands for it: where the initial arrow
begins, or an invisible one in a parallel state. An edge from or to a cluster is cut off at the cluster's border. Ranks
are ``newrank``'s: the older ranking gives up on some machines whose clusters have edges both ways.
"""

from __future__ import annotations

from perdure.statechart.drawing import Arrow, Block, Drawing, Lines, draw, history_label, laid_out, title
from perdure.statechart.machine import Machine, StateNode

__all__ = ["to_dot"]


PREAMBLE = (
    "compound=true;",
    "newrank=true;",
    'fontname="Helvetica";',
    'node [fontname="Helvetica", shape=box, style=rounded];',
    'edge [fontname="Helvetica", fontsize=10];',
)


def to_dot(machine: Machine) -> str:
    """The machine as the text of a graph for ``dot``."""
    drawing = draw(machine)
    body = Block(iter([*PREAMBLE, declaration(machine.root, drawing), edges(drawing)]))
    return "\n".join(laid_out(iter([f"digraph {quoted(machine.id)} {{", body, "}"]))) + "\n"


def declaration(node: StateNode, drawing: Drawing) -> Lines:
    """A state with all that is in it."""
    label = "\n".join((title(node), *drawing.notes.get(node, ())))
    if node.kind == "history":
        yield f"{quoted(node.id)} [label={quoted(history_label(node))}, shape=circle];"
    elif not node.children:
        shape = ", peripheries=2" if node.kind == "final" else ""
        yield f"{quoted(node.id)} [label={quoted(label)}{shape}];"
    else:
        yield f"subgraph {quoted(cluster(node))} {{"
        yield Block(inside(node, label, drawing))
        yield "}"


def inside(node: StateNode, label: str, drawing: Drawing) -> Lines:
    is_region = node.parent is not None and node.parent.kind == "parallel"
    yield f"label={quoted(label)};"
    yield f'style="{"dashed" if is_region else "rounded"}";'
    look = "shape=point" if node.kind == "compound" else "shape=point, style=invis"
    yield f'{quoted(anchor(node))} [label="", {look}];'
    for child in node.children.values():
        yield declaration(child, drawing)
    for target in node.initial:
        yield edge(anchor(node), target, tail=None, label=None)


def edges(drawing: Drawing) -> Lines:
    for arrow in drawing.arrows:
        yield edge(anchor(arrow.source), arrow.target, tail=arrow.source, label=arrow)


def edge(source: str, target: StateNode, *, tail: StateNode | None, label: Arrow | None) -> str:
    """An edge, cut at the borders of clusters, but for those that it does not cross."""
    attributes = [] if label is None else [f"label={quoted(label.label)}"]
    if tail is not None and tail.children and target is not tail and not target.descends_from(tail):
        attributes.append(f"ltail={quoted(cluster(tail))}")
    if target.children and (tail is None or (target is not tail and not tail.descends_from(target))):
        attributes.append(f"lhead={quoted(cluster(target))}")
    end = f" [{', '.join(attributes)}]" if attributes else ""
    return f"{quoted(source)} -> {quoted(anchor(target))}{end};"


def anchor(node: StateNode) -> str:
    """The node that edges of a state begin and end at."""
    return f"{node.id} point" if node.children else node.id


def cluster(node: StateNode) -> str:
    return f"cluster {node.id}"


def quoted(text: str) -> str:
    """A DOT string: backslashes and quotes escaped, lines as ``\\n``."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", "\\n")
    return f'"{escaped}"'
