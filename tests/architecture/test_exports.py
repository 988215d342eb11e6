"""The public face: what ``perdure`` and its packages promise to export, they export, and say once."""

from __future__ import annotations

import ast
import importlib
from collections import Counter

import pytest

from tests.architecture.source_tree import SourceFile, dotted_name, package_files


def declared_exports(module: SourceFile) -> list[str] | None:
    """The names in ``__all__`` as written, or ``None`` where a module declares none."""
    for statement in module.tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(statement, ast.Assign)
            assert isinstance(statement.value, ast.List | ast.Tuple), f"{module.name}: write __all__ as a plain list"
            return [str(ast.literal_eval(element)) for element in statement.value.elts]
    return None


modules_with_exports = pytest.mark.parametrize(
    "module",
    [module for module in package_files() if declared_exports(module) is not None],
    ids=lambda module: module.name,
)


@modules_with_exports
def test_every_exported_name_exists(module: SourceFile) -> None:
    imported = importlib.import_module(dotted_name(module))
    missing = [name for name in declared_exports(module) or [] if not hasattr(imported, name)]
    assert not missing, f"{module.name} exports what it does not have: {', '.join(missing)}"


@modules_with_exports
def test_every_name_is_exported_once(module: SourceFile) -> None:
    repeated = [name for name, count in Counter(declared_exports(module)).items() if count > 1]
    assert not repeated, f"{module.name} repeats {', '.join(repeated)} in __all__"


def test_the_package_declares_its_public_names() -> None:
    perdure = importlib.import_module("perdure")
    assert perdure.__all__, "perdure.__all__ is the list of public names"
