"""Versions as they are named on the command line: by id, or as the machine's current one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.errors import NotFound

if TYPE_CHECKING:
    from perdure.client import Client

__all__ = ["CURRENT", "version_id"]

CURRENT = "current"


def version_id(client: Client, machine: str, given: str) -> str:
    """The id of a version that is given as one, or as ``current``."""
    if given != CURRENT:
        return given
    current = client.get_machine(machine).current_version
    if current is None:
        raise NotFound(f"the machine {machine!r} has no current version")
    return current.id
