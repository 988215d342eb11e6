"""The shape of the code: every module explains itself, and no part of it outgrows a reader."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source_tree import PACKAGE, SourceFile, package_files

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
NAMES_THAT_SAY_NOTHING = {"base", "common", "core", "helper", "helpers", "misc", "shared", "tools", "util", "utils"}

every_module = pytest.mark.parametrize("module", package_files(), ids=lambda module: module.name)


@every_module
def test_module_opens_with_a_docstring(module: SourceFile) -> None:
    is_plain_package_mark = module.path.name == "__init__.py" and not module.text.strip()
    if is_plain_package_mark and module.path.parent != PACKAGE:
        pytest.skip("an empty __init__.py has nothing to explain")
    assert ast.get_docstring(module.tree), (
        f"{module.name}: say in a docstring what this module decides and what must hold"
    )


@every_module
def test_module_is_at_most_500_lines(module: SourceFile) -> None:
    lines = module.text.count("\n")
    assert lines <= MODULE_LINES_MAX, f"{module.name} has {lines} lines: split it by idea"


@every_module
def test_functions_are_at_most_60_lines_without_docstring(module: SourceFile) -> None:
    too_long = [
        f"{module.name}:{function.lineno}: {function.name} has {body_lines(function)} lines"
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(function) > FUNCTION_LINES_MAX
    ]
    assert not too_long, "give a part of it a name of its own:\n" + "\n".join(too_long)


@every_module
def test_module_name_says_what_is_in_it(module: SourceFile) -> None:
    parts = set(module.path.relative_to(PACKAGE).with_suffix("").parts)
    assert not parts & NAMES_THAT_SAY_NOTHING, f"{module.name}: name it after the idea it holds"


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, the docstring not counted."""
    first = function.body[0]
    docstring = 0
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        docstring = (first.end_lineno or first.lineno) - first.lineno + 1
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def test_body_lines_leave_out_the_docstring() -> None:
    with_docstring = ast.parse('def f():\n    """One\n\n    two.\n    """\n    return 1\n').body[0]
    without = ast.parse("def f():\n    return 1\n").body[0]
    assert isinstance(with_docstring, ast.FunctionDef)
    assert isinstance(without, ast.FunctionDef)
    assert body_lines(with_docstring) == body_lines(without) == 2
