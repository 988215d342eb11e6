"""Every promise of the pages named here names the test that proves it, and that test exists."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.documents.snippets import ROOT

NAMES = ("limits", "guarantees", "persistent-actors")
PAGES = [page for page in (ROOT / "docs" / f"{name}.md" for name in NAMES) if page.exists()]
PROOF = re.compile(r"\((`test_\w+`(?:, `test_\w+`)*)\)$")


@cache
def names_of_tests() -> set[str]:
    """Every test there is, the store contract's included."""
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "src" / "perdure" / "testing").rglob("*.py")]
    return {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text("utf-8"))}


PROMISES = [
    pytest.param(line, id=f"{page.stem}:{number}")
    for page in PAGES
    for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1)
    if line.startswith("- ")
]


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_names_tests_that_exist(promise: str) -> None:
    proof = PROOF.search(promise)
    assert proof is not None, "end the line with the name of the test that proves it: (`test_…`)"
    missing = set(re.findall(r"test_\w+", proof[1])) - names_of_tests()
    assert not missing, f"there is no such test: {', '.join(sorted(missing))}"
