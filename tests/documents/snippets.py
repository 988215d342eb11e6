"""The code blocks of a document, and running them as a reader would: in an empty folder.

A block of Python without a title is a program of its own. A block with a title (``python title="order.py"``) is a file
of the page's folder. A block of console lines is what a reader types: each ``$ `` line a command, in the one shell of
the page, and what follows it is what it prints, where ``…`` stands for anything. A block after a line ``<!-- not run:
why -->`` is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 400
"""Each command is a process that starts; on a busy machine that takes its time."""

_BLOCK = re.compile(
    r'^(?P<left_out><!-- not run: .+ -->\n)?```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One code block."""

    language: str
    code: str
    title: str | None
    is_run: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A line that a reader types, and what the page says it prints."""

    line: str
    printed: tuple[str, ...]


def pages() -> list[Path]:
    """Every page under docs/, and the README."""
    return [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]


def page_blocks(document: Path) -> list[Block]:
    """Every code block, in the order of the document."""
    return [
        Block(match["language"], match["code"], match["title"], match["left_out"] is None)
        for match in _BLOCK.finditer(document.read_text(encoding="utf-8"))
    ]


def all_blocks(document: Path) -> list[tuple[str, str]]:
    """The language and the code of every block that is run on its own."""
    return [(block.language, block.code) for block in page_blocks(document) if block.is_run and block.title is None]


def blocks(document: Path, language: str) -> list[str]:
    return [code for found, code in all_blocks(document) if found == language]


def commands(document: Path) -> list[Command]:
    """What a reader types on the page."""
    found: list[Command] = []
    for block in page_blocks(document):
        if block.language != "console" or not block.is_run:
            continue
        for line in block.code.splitlines():
            if line.startswith("$ "):
                found.append(Command(line.removeprefix("$ ").partition("   #")[0].strip(), ()))
            elif found:
                found[-1] = Command(found[-1].line, (*found[-1].printed, line))
    return found


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "snippet.py"
    file.write_text(code, encoding="utf-8")
    return subprocess.run([sys.executable, file], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def follow(document: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Write the page's files and type its commands, in one shell; fails where the page says something else."""
    for block in page_blocks(document):
        if block.title is not None:
            (folder / block.title).write_text(block.code, encoding="utf-8")
    (folder / "examples").symlink_to(ROOT / "examples")
    typed = commands(document)
    outputs = [folder / f"output.{number}" for number in range(len(typed))]
    lines = [_shell_line(command, output) for command, output in zip(typed, outputs, strict=True)]
    script = "\n".join([*lines, "kill %1 %2 2>/dev/null; wait; exit 0"])
    shell = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, **environment, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    for command, output in zip(typed, outputs, strict=True):
        said = output.read_text(encoding="utf-8") if output.exists() else shell.stderr
        assert fits(said, command.printed), f"{document.name}: $ {command.line}\nprinted:\n{said}\n{shell.stderr}"
        status = output.with_name(f"{output.name}.status")
        if status.exists():  # of a command in the background there is none
            has_failed = status.read_text(encoding="utf-8").strip() != "0"
            is_meant = any(line.startswith("error: ") for line in command.printed)
            assert has_failed == is_meant, f"{document.name}: $ {command.line}\nprinted:\n{said}"


def _shell_line(command: Command, output: Path) -> str:
    """The command with what it says kept; a server in the background is waited for, as a reader waits for its Ready."""
    if command.line.endswith("&"):
        waiting = f"for i in $(seq 600); do grep -q Ready {output} && break; sleep 0.1; done"
        return f"{command.line.removesuffix('&')} >{output} 2>&1 &\n{waiting}"
    redirect = f"2>{output}" if " > " in command.line else f">{output} 2>&1"
    return f"{command.line} {redirect}; echo $? >{output}.status"


def fits(said: str, printed: tuple[str, ...]) -> bool:
    """Whether a page tells the truth about what was printed. It may leave out all of it."""
    if not printed:
        return True
    pattern = "\n".join(
        ".*" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", ".*") for line in printed
    )
    return re.fullmatch(pattern, said.rstrip(), re.DOTALL) is not None
