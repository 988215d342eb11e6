"""The source tree as the architecture tests see it: files, parsed, with their dotted names."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "perdure"
TESTS = ROOT / "tests"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One Python file."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Its path as a reader would look for it, from the root of the repository."""
        return self.path.relative_to(ROOT).as_posix()


def read_source(path: Path) -> SourceFile:
    text = path.read_text(encoding="utf-8")
    return SourceFile(path=path, text=text, tree=ast.parse(text, filename=str(path)))


@cache
def package_files() -> list[SourceFile]:
    """Every module of the package."""
    return [read_source(path) for path in sorted(PACKAGE.rglob("*.py"))]


@cache
def files_with_tests() -> list[SourceFile]:
    """Every file with tests in it."""
    return [read_source(path) for path in sorted(TESTS.rglob("test_*.py"))]


def dotted_name(module: SourceFile) -> str:
    """The name that a module of the package is imported by."""
    parts = module.path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
