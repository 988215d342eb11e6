"""Machine packages: a directory with an ``__init__.py`` that holds one machine version in several modules.

What is deployed is a bundle of all its Python files and of nothing else, so that what was tried is what runs. The
modules import each other with relative imports: a package that names itself would mean whatever of that name is
installed where it runs, and is refused.
"""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec

from perdure.errors import MachineCodeError
from perdure.hosts.bundles import bundle_source
from perdure.machine_files import MachineFile, no_machine, read_machine_file

__all__ = ["is_machine_package", "read_machine_package"]


def is_machine_package(path: Path) -> bool:
    """Whether a path is a directory that is deployed as one machine version."""
    return path.is_dir() and (path / "__init__.py").is_file()


def read_machine_package(path: Path) -> MachineFile:
    """The machine of a package, its source the bundle. It is called after the directory, unless it binds ``name``.

    Raises ``MachineCodeError`` when a module is not Python or imports the package by its name, and when ``__init__.py``
    binds no ``machine``.
    """
    found = read_machine_file(path / "__init__.py")
    if found is None:
        raise no_machine(path / "__init__.py")
    package = path.resolve().name
    sources = {
        str(file.relative_to(path).as_posix()): _source_of(file, package)
        for file in sorted(path.rglob("*.py"))
        if not any(part.startswith((".", "test_")) for part in file.relative_to(path).parts)
    }
    machine = package.replace("_", "-") if found.machine == "--init--" else found.machine
    return msgspec.structs.replace(found, path=path, machine=machine, source=bundle_source(package, sources))


def _source_of(file: Path, package: str) -> str:
    try:
        source = file.read_text(encoding="utf-8")
        tree = ast.parse(source, filename=str(file))
    except SyntaxError as error:
        raise MachineCodeError(f"syntax error: {error.msg}", file=str(file), line=error.lineno) from error
    except ValueError as error:
        raise MachineCodeError("the file is not UTF-8 text", file=str(file)) from error
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ImportFrom):
            imported = [statement.module or ""] if statement.level == 0 else []
        elif isinstance(statement, ast.Import):
            imported = [alias.name for alias in statement.names]
        else:
            continue
        if any(name.partition(".")[0] == package for name in imported):
            raise MachineCodeError(
                f"the package imports itself by its name {package!r}, which is not there where it runs: write a "
                "relative import, such as `from .steps import pay`",
                file=str(file),
                line=statement.lineno,
            )
    return source
