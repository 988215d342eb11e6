"""Machines from files, for commands that look at a machine and run nothing of it on a server.

A machine file is executed as a deployment would execute it, so that what passes here can be deployed. An XState config
in JSON names its actions, guards, services and delays and implements none of them: every name counts as implemented.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from perdure.errors import MachineCodeError
from perdure.json_value import decode_json
from perdure.machine_files import no_machine, read_machine_file
from perdure.statechart import Machine, create_machine

__all__ = ["JsonConfigOption", "machine_in", "machine_of_config", "machine_of_source"]

JsonConfigOption = Annotated[
    bool, typer.Option("--json-config", help="The files are XState configs in JSON, not machine files.")
]


def machine_in(path: Path, *, is_json: bool) -> Machine:
    """The machine in a file.

    Raises ``MachineCodeError`` for what is no machine file, or no JSON, and ``MachineConfigError`` with every defect of
    a config.
    """
    if is_json:
        return machine_of_config(path)
    file = read_machine_file(path)
    if file is None:
        raise no_machine(path)
    return machine_of_source(file.source, path)


def machine_of_source(source: str, path: Path) -> Machine:
    """The machine that the text of a machine file makes, by executing it."""
    from perdure.hosts.in_process import load_definition

    return load_definition(source, str(path)).machine


def machine_of_config(path: Path) -> Machine:
    """The machine of an XState config in JSON."""
    try:
        config = decode_json(path.read_bytes())
    except ValueError as error:
        raise MachineCodeError(f"this is not JSON: {error}", file=str(path)) from error
    return create_machine(
        config,
        actions=EveryName(lambda: None),
        guards=EveryName(lambda: False),
        services=EveryName(lambda: None),
        delays=EveryDelay(0),
    )


class EveryName(dict[str, Any]):
    """Implements every name, by the same stand-in."""

    def __init__(self, stand_in: Callable[[], object] | int) -> None:
        super().__init__()
        self._stand_in = stand_in

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Any:
        return self._stand_in


class EveryDelay(EveryName):
    """Implements every name of a delay; what looks like a number is one, and no name."""

    def __contains__(self, name: object) -> bool:
        try:
            float(str(name))
        except ValueError:
            return True
        return False
