"""``perdure diagram``: a machine as a picture's text, or as a config for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from perdure.cli.loading import JsonConfigOption, machine_in
from perdure.cli.output import json_text, say

__all__ = ["diagram"]


def diagram(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A machine file.")],
    output_format: Annotated[
        Literal["mermaid", "dot", "xstate"],
        typer.Option("--format", help="A Mermaid diagram, a Graphviz graph, or an XState v4 config in JSON."),
    ] = "mermaid",
    json_config: JsonConfigOption = False,
) -> None:
    """Print a machine as a diagram.

    Mermaid is for Markdown; the output of --format dot goes to Graphviz (`dot -Tsvg`), that of --format xstate to
    Stately's editor.
    """
    from perdure.statechart.diagram import export_xstate, to_dot, to_mermaid

    machine = machine_in(file, is_json=json_config)
    if output_format == "mermaid":
        sys.stdout.write(to_mermaid(machine))
    elif output_format == "dot":
        sys.stdout.write(to_dot(machine))
    else:
        export = export_xstate(machine)
        sys.stdout.write(json_text(export.config) + "\n")
        for path in export.lost:
            say(f"{file}: {path}: only a description of this callable is left: a config in JSON cannot name it")
