"""Tests are found where a reader looks for them, and named for what they claim."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source_tree import PACKAGE, TESTS, SourceFile, files_with_tests

# Folders named after a property of the whole system and not after a part of it.
OF_THE_WHOLE = {
    "architecture",
    "conformance",
    "contract",
    "documents",
    "e2e",
    "examples",
    "recordings",
    "scenarios",
    "simulation",
    "torture",
    "typing",
}

every_test_file = pytest.mark.parametrize("file", files_with_tests(), ids=lambda file: file.name)


@every_test_file
def test_test_file_lies_in_a_folder_named_for_what_it_tests(file: SourceFile) -> None:
    parts = [part for part in file.path.relative_to(TESTS).parts if part != "unit"]
    assert parts[0] in OF_THE_WHOLE or stands_for_a_part_of_the_package(parts), (
        f"{file.name}: put it under tests/<package>/ or tests/test_<module>.py, or under one of {sorted(OF_THE_WHOLE)}"
    )


def stands_for_a_part_of_the_package(parts: list[str]) -> bool:
    """``durable/test_turn.py`` stands for ``perdure.durable``, ``test_clock.py`` for ``perdure.clock``."""
    name = parts[0].removeprefix("test_").removesuffix(".py") if len(parts) == 1 else parts[0]
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


@every_test_file
def test_every_test_name_is_a_claim(file: SourceFile) -> None:
    claimless = [
        function.name
        for function in ast.walk(file.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and function.name.startswith("test_")
        and function.name.count("_") < 2
    ]
    assert not claimless, f"{file.name}: say in the name what is claimed: {', '.join(claimless)}"


@every_test_file
def test_no_two_tests_of_a_file_share_a_name(file: SourceFile) -> None:
    scopes: list[ast.Module | ast.ClassDef] = [
        file.tree,
        *(node for node in file.tree.body if isinstance(node, ast.ClassDef)),
    ]
    for scope in scopes:
        names = [
            node.name
            for node in scope.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        ]
        hidden = {name for name in names if names.count(name) > 1}
        assert not hidden, f"{file.name}: the later hides the earlier: {', '.join(sorted(hidden))}"
