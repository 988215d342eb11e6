"""The README's Python is run as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.snippets import ROOT, blocks, run

README = ROOT / "README.md"


@pytest.mark.parametrize("number", range(len(blocks(README, "python"))))
def test_each_python_block_of_the_readme_runs(number: int, tmp_path: Path) -> None:
    result = run(blocks(README, "python")[number], tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_library_block_prints_what_the_readme_says_and_its_instance_survives_the_process(tmp_path: Path) -> None:
    (code,) = [block for block in blocks(README, "python") if "perdure.open(" in block]
    (printed,) = [block for block in blocks(README, "text") if block.startswith("cart ")]
    assert run(code, tmp_path).stdout == printed
    again = run(code, tmp_path)
    assert again.returncode != 0
    assert "InstanceExists" in again.stderr
