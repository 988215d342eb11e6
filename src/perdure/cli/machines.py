"""``perdure machines``: the named definitions on a server, and their versions."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from perdure.cli.arguments import parse_pair
from perdure.cli.connection import Session, connected
from perdure.cli.output import builtins, shown_time
from perdure.errors import InvalidParameter, MachineCodeError, NotFound
from perdure.machine_files import MachineFile, read_machine_file
from perdure.machine_packages import is_machine_package, read_machine_package

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Machines and their versions.")

MachineArgument = Annotated[str, typer.Argument(metavar="MACHINE", help="The machine's name.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")]


@app.command("list")
@connected
def list_machines(session: Session, limit: LimitOption = None) -> None:
    """List the machines."""
    with session.client() as client:
        machines = client.list_machines(limit)
    session.out.table(
        machines,
        ["machine", "current version", "created"],
        (
            [
                machine.slug,
                machine.current_version.id if machine.current_version else "",
                shown_time(machine.created_at),
            ]
            for machine in machines
        ),
    )


@app.command("get")
@connected
def get_machine(session: Session, machine: MachineArgument) -> None:
    """Show a machine and its versions."""
    with session.client() as client:
        detail = client.get_machine(machine)
        versions = client.list_versions(machine)
    current = detail.current_version.id if detail.current_version else None
    session.out.answer(
        {"slug": machine, **builtins(detail), "versions": [builtins(version) for version in versions]},
        f"{machine}  created {shown_time(detail.created_at)}"
        + (f"  indexes: {', '.join(detail.indexes)}" if detail.indexes else ""),
    )
    if not session.out.as_json:
        session.out.table(
            versions,
            ["version", "created", "from", ""],
            (
                [version.id, shown_time(version.created_at), version.client_info, "current" * (version.id == current)]
                for version in versions
            ),
        )


@app.command("create")
@connected
def create_machine(
    session: Session,
    machine: MachineArgument,
    index: Annotated[list[str] | None, typer.Option("--index", help="The name of an index; may be repeated.")] = None,
) -> None:
    """Create a machine without any code yet. `deploy` does this by itself."""
    with session.client() as client:
        client.create_machine(machine, index or [])
    session.out.answer({"slug": machine}, f"created {machine}")


@app.command("deploy")
@connected
def deploy(
    session: Session,
    file: Annotated[
        Path, typer.Argument(metavar="PATH", exists=True, help="A machine file, or the directory of a machine package.")
    ],
    name: Annotated[str | None, typer.Option("--name", help="The machine's name, instead of the file's.")] = None,
    current: Annotated[
        bool, typer.Option("--current/--no-current", help="Whether new instances use this version from now on.")
    ] = True,
    info: Annotated[str, typer.Option("--info", help="A remark to find the version by, such as a commit.")] = "",
    index: Annotated[
        list[str] | None,
        typer.Option("--index", metavar="NAME=JSONPATH", help="What instances are found by; may be repeated."),
    ] = None,
) -> None:
    """Upload a machine file or package as a new version, and create the machine if it is not there.

    Of a package every module goes along, in one bundle: what is hashed is what runs.
    """
    found = machine_at(file)
    content_hash = hashlib.sha256(found.source.encode()).hexdigest()
    machine = name or found.machine
    selectors = dict(parse_pair(item, "--index") for item in index or [])
    with session.client() as client:

        def upload() -> str:
            remark = info or file.name
            return client.deploy(
                machine,
                found.source,
                file_name=file.name,
                client_info=remark,
                make_current=current,
                index_selectors=selectors,
            )

        try:
            version = upload()
        except NotFound:
            client.create_machine(machine, list(selectors))
            version = upload()
    session.out.answer(
        {"slug": machine, "machineVersionId": version, "current": current, "sha256": content_hash},
        f"deployed {machine} as {version}"
        + ("" if current else ", not current yet")
        + f", sha256 {content_hash[:16]}…",
    )


def machine_at(path: Path) -> MachineFile:
    """The machine of a file or package. Raises ``MachineCodeError``, ``InvalidParameter`` for another directory."""
    if is_machine_package(path):
        return read_machine_package(path)
    if path.is_dir():
        raise InvalidParameter(
            f"{path} is no machine package: it has no __init__.py that binds `machine`. Name one machine file", "PATH"
        )
    found = read_machine_file(path)
    if found is None:
        raise MachineCodeError("the file has no `machine` at its top level", file=str(path))
    return found


@app.command("delete")
@connected
def delete_machine(
    session: Session,
    machine: MachineArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a machine with all its versions, for ever. Its instances have to be gone before."""
    if not yes:
        typer.confirm(f"Delete the machine {machine} and all its versions for ever?", abort=True, err=True)
    with session.client() as client:
        client.delete_machine(machine)
    session.out.answer({"slug": machine, "deleted": True}, f"deleted {machine}")


@app.command("retention")
@connected
def retention(
    session: Session,
    machine: MachineArgument,
    entries: Annotated[
        int | None, typer.Option("--entries", min=1, help="Keep so many of the newest entries of each instance.")
    ] = None,
    days: Annotated[float | None, typer.Option("--days", help="Keep what happened in so many days.")] = None,
    forever: Annotated[bool, typer.Option("--forever", help="Keep everything from now on.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete at once what is no longer kept.")] = False,
) -> None:
    """Show or set how much of the history of its instances is kept; the newest entry of each always is.

    What is no longer kept goes by itself within minutes, or at once with --prune.
    """
    from perdure.client import upkeep

    if forever and (entries is not None or days is not None):
        raise InvalidParameter("--forever keeps everything: leave out --entries and --days, or --forever", "--forever")
    removed = 0
    with session.client() as client:
        if forever or entries is not None or days is not None:
            client.run(upkeep.set_retention(machine, entries=entries, days=days))
        if prune:
            removed = client.run(upkeep.shorten_journals(machine))
        kept = client.run(upkeep.get_retention(machine))
    limits = [f"{kept.entries:,} entries"] if kept.entries is not None else []
    limits += [f"{kept.days:g} days"] if kept.days is not None else []
    lines = [f"of each history of {machine} at most {' and '.join(limits)} are kept" if limits else "all is kept"]
    if prune:
        lines.append(f"deleted: {removed:,} entries")
    session.out.answer({"slug": machine, **builtins(kept), "removed": removed}, *lines)
