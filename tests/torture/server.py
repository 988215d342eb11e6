"""The server that is tortured: ``perdure serve`` over an SQLite file, always at the same address."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import Process
from pathlib import Path

import httpx

from perdure.bootstrap import MASTER_KEY_VARIABLE
from perdure.clock import SystemClock
from tests.torture.machines.ledger import EFFECTS_VARIABLE

__all__ = ["TorturedServer"]

MACHINES = Path(__file__).parent / "machines"
PERDURE = (sys.executable, "-c", "from perdure.cli import main; main()")
START_SECONDS_MAX = 120.0
LOOK_AGAIN_MILLISECONDS = 15.0

clock = SystemClock()


class TorturedServer:
    """A server that is started and killed, again and again, over the same file and at the same address."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "perdure.db"
        self.effects = folder / "effects.txt"
        self.effects.touch()
        self.log = folder / "server.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.longest_log = 0
        """Bytes of the database's log that a kill has left, at most."""
        self._process: Process | None = None
        self._environment = os.environ | {EFFECTS_VARIABLE: str(self.effects), MASTER_KEY_VARIABLE: "torture" * 8}

    async def make_key(self) -> tuple[str, str]:
        """A key of every scope, made before the first start; its id and its secret."""
        process = await asyncio.create_subprocess_exec(
            *(*PERDURE, "keys", "create", "torture", "--store", f"sqlite:///{self.database}"),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        lines = dict(line.split("=", 1) for line in output.decode().split() if "=" in line)
        return lines["PERDURE_KEY_ID"], lines["PERDURE_KEY_SECRET"]

    async def begin(self) -> None:
        """Start it, and do not wait until it answers."""
        port = self.url.rpartition(":")[2]
        command = ("serve", "--store", f"sqlite:///{self.database}", "--port", port, "--machines", str(MACHINES))
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *PERDURE, *command, "--log-level", "warning", env=self._environment, stdout=log, stderr=log
            )

    async def wait_until_healthy(self) -> None:
        """Raises ``RuntimeError`` with the end of its log when it ends instead, ``TimeoutError`` when it takes ages."""
        assert self._process is not None
        async with asyncio.timeout(START_SECONDS_MAX), httpx.AsyncClient() as http:
            while True:
                if self._process.returncode is not None:
                    raise RuntimeError(f"the server ended by itself:\n{self.log.read_text()[-2000:]}")
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{self.url}/healthz")).status_code == 200:
                        return
                await clock.sleep(LOOK_AGAIN_MILLISECONDS)

    async def kill(self) -> None:
        """SIGKILL; returns once it is gone."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            with contextlib.suppress(FileNotFoundError):
                log = self.database.with_name(self.database.name + "-wal")
                self.longest_log = max(self.longest_log, log.stat().st_size)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
