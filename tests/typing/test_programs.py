"""What type-checkers say of programs that use ``Types``: an error on each line marked ``# error``, and nowhere else.

Each checker runs once, over all programs, with a configuration of its own. basedpyright brings its Node along, so that
nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]

Lines = set[tuple[str, int]]


def marked_lines() -> Lines:
    return {
        (program.name, number)
        for program in PROGRAMS.glob("*.py")
        for number, line in enumerate(program.read_text(encoding="utf-8").splitlines(), 1)
        if line.endswith("# error")
    }


def test_mypy_finds_each_mistake_and_nothing_else(tmp_path: Path) -> None:
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nstrict = true\n", encoding="utf-8")
    result = run("mypy", f"--config-file={config}", f"--cache-dir={ROOT / '.mypy_cache' / 'programs'}", str(PROGRAMS))
    assert result.returncode in (0, 1), result.stderr
    found = {
        (Path(match[1]).name, int(match[2]))
        for match in re.finditer(r"^(.+?):(\d+): error:", result.stdout, re.MULTILINE)
    }
    assert found == marked_lines(), result.stdout


@pytest.mark.slow
def test_pyright_finds_each_mistake_and_nothing_else(tmp_path: Path) -> None:
    config = tmp_path / "pyrightconfig.json"
    settings = {"include": [str(PROGRAMS)], "typeCheckingMode": "strict", "extraPaths": [str(ROOT / "src")]}
    config.write_text(json.dumps(settings), encoding="utf-8")
    result = run("basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(config))
    assert result.returncode in (0, 1), result.stderr
    report = json.loads(result.stdout)
    assert report["summary"]["filesAnalyzed"] == len(list(PROGRAMS.glob("*.py")))
    found = {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in report["generalDiagnostics"]}
    assert found == marked_lines(), result.stdout


@pytest.mark.parametrize("program", ["functions.py", "plain.py"])
def test_a_program_without_mistakes_also_runs(program: str) -> None:
    result = subprocess.run(
        [sys.executable, PROGRAMS / program], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
