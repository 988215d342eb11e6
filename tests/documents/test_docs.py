"""The Python of every page under docs/ is run as it stands, and prints what the page says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.documents.snippets import ROOT, all_blocks, run

SNIPPETS = [
    pytest.param(code, printed if language == "text" else None, id=f"{page.stem} {number}")
    for page in sorted((ROOT / "docs").glob("*.md"))
    for number, ((kind, code), (language, printed)) in enumerate(pairwise([*all_blocks(page), ("", "")]))
    if kind == "python"
]


@pytest.mark.parametrize(("code", "printed"), SNIPPETS)
def test_each_python_block_of_the_docs_runs_and_prints_the_text_block_behind_it(
    code: str, printed: str | None, tmp_path: Path
) -> None:
    result = run(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert printed is None or result.stdout == printed
