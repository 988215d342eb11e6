"""A machine for other eyes: as a picture, or as a config for other programs.

- ``to_mermaid(machine)``: a Mermaid state diagram, which Markdown on many hosts shows as a picture;
- ``to_dot(machine)``: a Graphviz graph with nested clusters;
- ``to_xstate_json(machine)``: a config in JSON that Stately's editor, XState v4 and ``create_machine`` read;
  ``export_xstate(machine)`` gives that config together with what its names stand for.

All are texts or plain data, made from the machine alone; nothing of it runs, but that a callable context is asked once
for a value.
"""

from __future__ import annotations

from perdure.statechart.dot import to_dot
from perdure.statechart.mermaid import to_mermaid
from perdure.statechart.xstate_export import XStateExport, export_xstate, to_xstate_json

__all__ = ["XStateExport", "export_xstate", "to_dot", "to_mermaid", "to_xstate_json"]
