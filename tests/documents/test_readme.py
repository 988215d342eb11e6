"""The README's Python is run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_each_python_block_of_the_readme_runs(number: int, tmp_path: Path) -> None:
    result = run(blocks("python")[number], tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_library_block_prints_what_the_readme_says_and_its_instance_survives_the_process(tmp_path: Path) -> None:
    (code,) = [block for block in blocks("python") if "perdure.open(" in block]
    (printed,) = [block for block in blocks("text") if block.startswith("cart ")]
    assert run(code, tmp_path).stdout == printed
    again = run(code, tmp_path)
    assert again.returncode != 0
    assert "InstanceExists" in again.stderr


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "snippet.py"
    file.write_text(code, encoding="utf-8")
    return subprocess.run([sys.executable, file], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
