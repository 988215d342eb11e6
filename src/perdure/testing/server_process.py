"""A real server in a process of its own, to be killed and started again: for tests and demonstrations of durability.

It is ``perdure dev`` over an SQLite file in a directory of its own, on a free port of the loopback interface. A restart
finds the same file, the same key and, so that clients reach it again, the same address. Only a process that has ended
is started again, so there is never more than one.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx2
import msgspec

from perdure.client import AsyncClient, Retries
from perdure.clock import Clock, SystemClock
from perdure.json_value import JsonObject
from perdure.tokens import sign_token

__all__ = ["ServerFailed", "ServerProcess"]

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 15.0
LOOK_AGAIN_MILLISECONDS = 10.0
LOG_LINES_SHOWN = 30
TOKEN_LIFETIME = timedelta(hours=1)

_COMMAND = (sys.executable, "-c", "from perdure.cli import main; main()")


class ServerFailed(Exception):
    """The server did not start, or not in time; the message ends with the end of its log."""


class _Connection(msgspec.Struct, frozen=True):
    """What ``perdure dev`` leaves in its directory for those who want to talk to it."""

    url: str
    key_id: str
    key_secret: str


class ServerProcess:
    """One server and its directory. ``async with ServerProcess(directory, paths) as server:`` starts it and ends it.

    Belongs to the event loop it is started in.
    """

    def __init__(self, directory: Path, machines: Sequence[Path], *, clock: Clock | None = None) -> None:
        """``machines`` are machine files, or directories of them."""
        self.directory = directory
        self.log_path = directory / "server.log"
        self._machines = [path.resolve() for path in machines]
        self._clock = clock if clock is not None else SystemClock()
        self._process: Process | None = None
        self._connection: _Connection | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.kill()

    # -- its life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start it and return once it answers. Raises ``ServerFailed`` when it ends instead, or takes too long."""
        assert not self.is_running, "the server runs already"
        port = "0" if self._connection is None else str(urlsplit(self._connection.url).port)
        self._connection_file.unlink(missing_ok=True)  # what a killed server left behind says nothing about this one
        command = (*_COMMAND, "dev", *map(str, self._machines), "--port", port)
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=self.directory, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                self._connection = await self._wait_until_healthy()
        except TimeoutError as error:
            raise self._failure(f"the server did not answer within {START_SECONDS_MAX:.0f} s") from error

    async def kill(self) -> None:
        """End it with SIGKILL: no handler of its own runs. Returns once it is gone; no error if it was not there."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def stop(self) -> int:
        """End it with SIGTERM, as an operator does; its exit code."""
        assert self._process is not None, "the server was never started"
        if self._process.returncode is None:
            self._process.terminate()
        async with asyncio.timeout(STOP_SECONDS_MAX):
            return await self._process.wait()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process that runs, or the last one that did."""
        assert self._process is not None, "the server was never started"
        return self._process.pid

    # -- talking to it -----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return self._known.url

    @property
    def key(self) -> tuple[str, str]:
        """The id and the secret of a key with every scope."""
        return self._known.key_id, self._known.key_secret

    def token(self, act: JsonObject) -> str:
        """A token with every scope that lets its bearer act as ``act``."""
        known = self._known
        return sign_token(known.key_id, known.key_secret, act, now=self._clock.now(), expires_in=TOKEN_LIFETIME)

    def client(self, act: JsonObject, *, timeout_seconds: float = 30.0) -> AsyncClient:
        """A client that acts as ``act``; it goes on working after a restart. It tries nothing again: whoever kills
        servers wants to see what that does to each request."""
        return AsyncClient(
            self.url,
            lambda: self.token(act),
            timeout_seconds=timeout_seconds,
            retries=Retries(attempts=1),
            clock=self._clock,
        )

    async def is_healthy(self) -> bool:
        """Whether something answers at its address that all is well."""
        return await _is_healthy(self.url)

    def log(self) -> str:
        """All that the server has printed and logged so far, in all its lives."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    @property
    def _known(self) -> _Connection:
        assert self._connection is not None, "the server was never started"
        return self._connection

    @property
    def _connection_file(self) -> Path:
        return self.directory / ".perdure" / "dev.json"

    async def _wait_until_healthy(self) -> _Connection:
        while True:
            if not self.is_running:
                raise self._failure("the server ended before it answered")
            # The file appears whole, once the machines are deployed, and just before the server answers.
            if self._connection_file.exists():
                connection = msgspec.json.decode(self._connection_file.read_bytes(), type=_Connection)
                if await _is_healthy(connection.url):
                    return connection
            await self._clock.sleep(LOOK_AGAIN_MILLISECONDS)

    def _failure(self, reason: str) -> ServerFailed:
        return ServerFailed("\n".join([reason, *self.log().splitlines()[-LOG_LINES_SHOWN:]]))


async def _is_healthy(url: str) -> bool:
    try:
        async with httpx2.AsyncClient() as http:
            return (await http.get(f"{url}/healthz")).status_code == 200
    except httpx2.TransportError:
        return False
