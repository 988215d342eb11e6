"""``perdure check``: what is wrong with machine files, and what is suspicious, before they are deployed.

Every remark is one line, ``file: place: severity: what. What to do``, so that editors and ``grep`` can read it. A
machine that cannot be built has **errors**; one that can may have **warnings** (almost certainly a mistake) and
**hints** (worth a thought). The exit code is 1 when there are errors, with ``--strict`` also when there are warnings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from rich.text import Text

from perdure.cli.loading import JsonConfigOption, machine_of_config, machine_of_source
from perdure.cli.output import Output, builtins, say
from perdure.errors import InvalidParameter, MachineCodeError, MachineConfigError
from perdure.machine_files import MachineFile, no_machine, python_files, read_machine_file, same_machine
from perdure.statechart import Machine
from perdure.statechart.review import review

__all__ = ["check"]

STYLES = {"error": "bold red", "warning": "yellow", "hint": "cyan"}


class Remark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the answer."""

    severity: Literal["error", "warning", "hint"]
    rule: str
    message: str
    suggestion: str | None = None
    path: str | None = None
    """The JSON path into the config."""
    line: int | None = None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A file, the name of its machine where it has one, and all remarks about it."""

    file: str
    machine: str | None
    remarks: tuple[Remark, ...]


def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", exists=True, help="Machine files, or directories of them.")
    ],
    json_config: JsonConfigOption = False,
    output_format: Annotated[
        Literal["text", "json"], typer.Option("--format", help="One line per remark, or one JSON document.")
    ] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too. Hints never do.")] = False,
) -> None:
    """Look for mistakes in machine files: defects of their configs, and parts that do nothing.

    Exits with 1 when there are errors (with --strict: or warnings), and with 0 otherwise.
    """
    checked = list(check_configs(files) if json_config else check_machine_files(files))
    if not checked:
        raise InvalidParameter("there is no machine file in " + ", ".join(map(str, files)), "FILE")
    counts: Counter[str] = Counter(remark.severity for file in checked for remark in file.remarks)
    out = Output(as_json=output_format == "json")
    out.answer(
        {
            "files": [builtins(file) for file in checked],
            "errors": counts["error"],
            "warnings": counts["warning"],
            "hints": counts["hint"],
        },
        *(shown(file, remark) for file in checked for remark in file.remarks),
    )
    if not out.as_json:
        say(summary(len(checked), counts))
    if counts["error"] or (strict and counts["warning"]):
        raise typer.Exit(1)


def check_configs(paths: list[Path]) -> Iterator[Checked]:
    """Check XState configs in JSON."""
    for path in paths:
        try:
            machine = machine_of_config(path)
        except (MachineCodeError, MachineConfigError) as error:
            yield Checked(file=str(path), machine=None, remarks=errors_of(error, path))
        else:
            yield Checked(file=str(path), machine=machine.id, remarks=findings_of(machine))


def check_machine_files(paths: list[Path]) -> Iterator[Checked]:
    """Check every machine file that is named or lies in a directory that is named; other Python files only if named."""
    seen: dict[str, MachineFile] = {}
    for path in python_files(paths):
        name = None
        try:
            file = read_machine_file(path)
            if file is None:
                if path in paths:
                    raise no_machine(path)
                continue
            name = file.machine
            if name in seen:
                raise same_machine(file, seen[name])
            seen[name] = file
            remarks = findings_of(machine_of_source(file.source, path))
        except (MachineCodeError, MachineConfigError) as error:
            remarks = errors_of(error, path)
        yield Checked(file=str(path), machine=name, remarks=remarks)


def errors_of(error: MachineCodeError | MachineConfigError, path: Path) -> tuple[Remark, ...]:
    """What is wrong with a file; each defect of a config on its own."""
    if isinstance(error, MachineCodeError):
        return (Remark(severity="error", rule=error.code, message=error.reason, line=error.line),)
    from perdure.hosts.in_process import line_in

    line = line_in(error, str(path))
    return tuple(
        Remark(
            severity="error",
            rule=error.code,
            message=defect.message,
            suggestion=defect.suggestion,
            path=defect.path,
            line=line,
        )
        for defect in error.defects
    )


def findings_of(machine: Machine) -> tuple[Remark, ...]:
    """What is suspicious in a machine."""
    return tuple(
        Remark(
            severity=found.severity,
            rule=found.rule,
            message=found.message,
            suggestion=found.suggestion,
            path=found.path,
        )
        for found in review(machine)
    )


def shown(file: Checked, remark: Remark) -> Text:
    """A remark for a person."""
    place = file.file if remark.line is None else f"{file.file}:{remark.line}"
    line = Text.assemble((place, "bold"), ": ")
    if remark.path is not None:
        line.append(f"{remark.path}: ")
    line.append(f"{remark.severity}: ", STYLES[remark.severity])
    line.append(f"{remark.message}.")
    if remark.suggestion is not None:
        line.append(f" {remark.suggestion}", "dim")
    return line


def summary(files: int, counts: Counter[str]) -> Text:
    """How much was found, beside the answer."""
    said = [f"{counts[kind]} {kind}{'s' * (counts[kind] > 1)}" for kind in STYLES if counts[kind]]
    worst = next((style for kind, style in STYLES.items() if counts[kind]), "green")
    noun = "machine" if files == 1 else "machines"
    return Text.assemble(f"{files} {noun} checked: ", (", ".join(said) or "nothing found", worst))
