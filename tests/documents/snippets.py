"""The code blocks of a document, and running them as a reader would: each in a file of its own, in an empty folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(document: Path, language: str) -> list[str]:
    return [code for found, code in all_blocks(document) if found == language]


def all_blocks(document: Path) -> list[tuple[str, str]]:
    """Every code block with its language, in the order of the document."""
    text = document.read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "snippet.py"
    file.write_text(code, encoding="utf-8")
    return subprocess.run([sys.executable, file], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
