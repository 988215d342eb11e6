"""Machine files: Python files that each hold one machine version.

A file is a machine file when it binds ``machine`` at its top level. Its machine is called after the file, with ``_``
written as ``-`` (``front_door.py`` is ``front-door``), unless it binds ``name`` to a string literal. Both are read from
the syntax tree: code runs in one place only, where a version is deployed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from perdure.errors import InvalidParameter, MachineCodeError
from perdure.wire import NAME_PATTERN

__all__ = ["MachineFile", "find_machine_files", "python_files", "read_machine_file"]


class MachineFile(msgspec.Struct, frozen=True, kw_only=True):
    """A machine version's source, as it lies on disk."""

    path: Path
    machine: str
    source: str


def find_machine_files(paths: Iterable[Path]) -> list[MachineFile]:
    """Every machine file that is named, or lies in a directory that is named.

    Raises ``MachineCodeError`` for the first that cannot be read, for a named file without a machine, and for two files
    with the same machine; ``InvalidParameter`` for a path that does not exist.
    """
    named = set(paths)
    found: dict[str, MachineFile] = {}
    for path in python_files(named):
        file = read_machine_file(path)
        if file is None:
            if path in named:
                raise no_machine(path)
        elif file.machine in found:
            raise same_machine(file, found[file.machine])
        else:
            found[file.machine] = file
    return list(found.values())


def no_machine(path: Path) -> MachineCodeError:
    """A file that was named and holds no machine."""
    return MachineCodeError(
        "the file binds no `machine` at its top level: write `machine = create_machine({…})`", file=str(path)
    )


def same_machine(file: MachineFile, other: MachineFile) -> MachineCodeError:
    """Two files for one machine."""
    return MachineCodeError(
        f"the machine {file.machine!r} is in {other.path} too: give one of them another `name`", file=str(file.path)
    )


def read_machine_file(path: Path) -> MachineFile | None:
    """The machine of a file, or ``None`` when the file holds no machine.

    Raises ``MachineCodeError`` when it is not Python (file, line, reason) or gives its machine a name that cannot be
    one.
    """
    try:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source, filename=str(path))
    except SyntaxError as error:
        raise MachineCodeError(f"syntax error: {error.msg}", file=str(path), line=error.lineno) from error
    except UnicodeDecodeError as error:
        raise MachineCodeError("the file is not UTF-8 text", file=str(path)) from error
    except ValueError as error:
        raise MachineCodeError(str(error), file=str(path)) from error
    bound = _bound_at_top_level(tree)
    if "machine" not in bound:
        return None
    return MachineFile(path=path, machine=_name_of(path, bound), source=source)


def python_files(paths: Iterable[Path]) -> list[Path]:
    """The Python files that are named, or lie anywhere below a directory that is named; sorted, each once.

    Below a directory, hidden files and directories and names that start with ``_`` or ``test_`` are passed over. Raises
    ``InvalidParameter`` for a path that does not exist.
    """
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found.update(file for file in path.rglob("*.py") if _is_candidate(file.relative_to(path)))
        elif path.is_file():
            found.add(path)
        else:
            raise InvalidParameter(f"{path} does not exist: name a machine file, or a directory of them", "path")
    return sorted(found)


def _is_candidate(relative: Path) -> bool:
    return not any(part.startswith((".", "_", "test_")) for part in relative.parts)


def _bound_at_top_level(tree: ast.Module) -> dict[str, ast.stmt]:
    """Each name that the module binds itself or imports, with the last statement that does."""
    bound: dict[str, ast.stmt] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=targets):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                names = [name]
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names = [name]
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names = [alias.asname or alias.name.partition(".")[0] for alias in aliases]
            case _:
                names = []
        bound.update(dict.fromkeys(names, statement))
    return bound


def _name_of(path: Path, bound: dict[str, ast.stmt]) -> str:
    match bound.get("name"):
        case None:
            name, line = path.stem.replace("_", "-"), None
        case ast.Assign(value=ast.Constant(value=str(literal))) as statement:
            name, line = literal, statement.lineno
        case ast.AnnAssign(value=ast.Constant(value=str(literal))) as statement:
            name, line = literal, statement.lineno
        case statement:
            raise MachineCodeError(
                "`name` is the machine's name and must be a string literal: write it out, or call it otherwise",
                file=str(path),
                line=statement.lineno,
            )
    if not re.fullmatch(NAME_PATTERN, name):
        raise MachineCodeError(
            f"{name!r} cannot be the name of a machine: use letters, digits, `_` and `-`, at most 128 of them",
            file=str(path),
            line=line,
        )
    return name
