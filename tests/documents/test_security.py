"""The table of attacks names tests that are there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.source_tree import ROOT

DOCUMENT = ROOT / "docs" / "security.md"
ROW = re.compile(
    r"^\| (?P<attack>[^|]+) \| (?P<happens>[^|]+) \| `(?P<file>tests/[\w/]+\.py)::(?P<test>\w+)` \|$", re.M
)


def rows() -> list[re.Match[str]]:
    return list(ROW.finditer(DOCUMENT.read_text("utf-8")))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["attack"].strip())
def test_the_test_of_an_attack_exists(row: re.Match[str]) -> None:
    tree = ast.parse((ROOT / row["file"]).read_text("utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert row["test"] in functions


def test_every_line_of_the_table_names_a_test() -> None:
    lines = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert len(rows()) == len(lines) - 1, "a line of the table is not: attack, what happens, `file::test`"
    assert len(rows()) >= 20
