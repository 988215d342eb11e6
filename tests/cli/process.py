"""The ``perdure`` command as a process of its own, followed line by line."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PATIENCE_SECONDS = 30.0


class Command:
    """A running command."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.output = ""

    async def until(self, text: str) -> str:
        """Read on until a line with ``text`` comes; that line. Fails when the command ends before."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line := (await self._process.stdout.readline()).decode():
                self.output += line
                if text in line:
                    return line
        raise AssertionError(f"the command ended without saying {text!r}:\n{self.output}")

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, read the rest; the exit code."""
        self._process.send_signal(number)
        return await self.wait()

    async def wait(self) -> int:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            self.output += (await self._process.stdout.read()).decode()
            return await self._process.wait()


@asynccontextmanager
async def perdure(*arguments: str, cwd: Path, **environment: str) -> AsyncIterator[Command]:
    """Run the command; what still runs at the end of the block is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from perdure.cli import main; main()",
        *arguments,
        cwd=cwd,
        env=os.environ | environment | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
