"""The logs of machines: what their code prints and logs, kept per instance and version.

What is heard becomes entries, one for each line, or for several that an instance says within one millisecond of a turn:
no entry has words of two turns, nor of a turn before and after its commit. They wait in memory and are written to the
store together, a moment later, at the end, and before somebody reads. So nothing an instance does waits for its log; a
process that dies takes the last moment's entries along. When more is said than the store takes, or it cannot be
reached, the oldest entries are dropped, and an entry says how many.

Readers go on from where they stopped, by time. So nobody is shown a millisecond that is not over, and an answer ends
between two milliseconds: what comes later than an answer is later than all in it.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextvars import Token
from typing import TYPE_CHECKING, TypeVar

import msgspec

from perdure.durable.records import Address
from perdure.durable.upkeep_records import LogEntry
from perdure.errors import StoreError
from perdure.logs import get_logger
from perdure.machine_output import LISTENER, Listener, OutputType, install, uninstall

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["LogPage", "MachineLogs", "Output"]

T = TypeVar("T")

logger = get_logger("perdure.machine_logs")

ENTRIES_PER_PAGE = 100
ENTRY_CHARACTERS_MAX = 65_536
"""A longer text is divided."""
ENTRY_OVERHEAD = 200
"""What an entry counts beside its text, in characters."""


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, oldest first, and the millisecond from which to go on; ``None`` when there is nothing new."""

    entries: list[LogEntry]
    next: float | None


class Piece:
    """An entry that is not written yet, and may still grow."""

    __slots__ = ("address", "at", "output_type", "stretch", "text", "version_id")

    def __init__(
        self, address: Address, version_id: str, at: float, output_type: OutputType, text: str, *, stretch: int = 0
    ) -> None:
        self.address = address
        self.version_id = version_id
        self.at = at
        self.output_type: OutputType = output_type
        self.text = text
        self.stretch = stretch
        """Of its instance's code: a turn before its commit, or after. What is of another one is another entry."""

    @property
    def entry(self) -> LogEntry:
        return LogEntry(
            org=self.address.org,
            machine=self.address.machine,
            instance=self.address.instance,
            version_id=self.version_id,
            at=self.at,
            output_type=self.output_type,
            # Half a surrogate pair is text in Python and nowhere else.
            text=self.text if self.text.isascii() else self.text.encode(errors="backslashreplace").decode(),
        )


class Output:
    """The listener of one instance."""

    __slots__ = ("_is_silenced", "_logs", "_token", "address", "stretch", "version_id")

    def __init__(self, logs: MachineLogs, address: Address) -> None:
        self.address = address
        self.version_id = ""
        self.stretch = 0
        self._logs = logs
        self._is_silenced = False
        self._token: Token[Listener | None] | None = None

    def begin(self, version_id: str) -> None:
        self.version_id = version_id
        self.stretch += 1
        self._is_silenced = False

    def heard(self, output_type: OutputType, text: str) -> None:
        if not self._is_silenced:
            self._logs.add(self, output_type, text)

    def listen(self) -> None:
        """All code that runs in this task from now on, and whatever it starts, is this instance's."""
        LISTENER.set(self)

    def __enter__(self) -> None:
        self._token = LISTENER.set(self)

    def __exit__(self, *exception: object) -> None:
        assert self._token is not None, "it was entered"
        LISTENER.reset(self._token)

    async def silenced(self, delete: Callable[[], Awaitable[T]]) -> T:
        """Delete the instance so that nothing of it is written afterwards: services may have last words."""
        self._is_silenced = True
        try:
            await self._logs.forget(self.address)
            return await delete()
        except BaseException:
            self._is_silenced = False
            raise


class MachineLogs:
    """What waits to be written, and what was."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._pieces: deque[Piece] = deque()
        self._begun: dict[tuple[Address, OutputType, int], Piece] = {}
        """Lines that have no end yet, by the thread that writes them."""
        self._size = 0
        self._dropped: Counter[tuple[Address, str]] = Counter()
        self._is_open = False
        self._loop_thread = 0
        self._loop: asyncio.AbstractEventLoop
        self._writer: asyncio.Task[None]
        self._has_news = asyncio.Event()
        self._writing = asyncio.Lock()

    def start(self) -> None:
        install()
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self._writer = asyncio.create_task(self._run(), name="machine logs")
        self._is_open = True

    async def close(self) -> None:
        """Write what there is, if the store takes it, and listen no more."""
        if not self._is_open:
            return
        self._is_open = False
        uninstall()
        self._writer.cancel()
        try:
            await asyncio.wait([self._writer])
            await self.flush()
        except StoreError:
            logger.exception("the last logs of machines could not be written")

    def output_of(self, address: Address) -> Output:
        return Output(self, address)

    # -- listening ---------------------------------------------------------------------------------

    def add(self, output: Output, output_type: OutputType, text: str) -> None:
        """Called from any thread."""
        with self._lock:
            if not self._is_open:
                return
            had_news = bool(self._pieces or self._begun)
            key = (output.address, output_type, threading.get_ident())
            begun = self._begun.pop(key, None)
            if begun is not None and begun.stretch != output.stretch and threading.get_ident() == self._loop_thread:
                self._append(begun)  # turns run here; a thread of a service goes on with its line beside them
                begun = None
            if begun is None:
                at = float(math.floor(self._runtime.clock.now()))
                begun = Piece(output.address, output.version_id, at, output_type, text, stretch=output.stretch)
            else:
                begun.text += text
            while len(begun.text) > ENTRY_CHARACTERS_MAX:
                text = begun.text[ENTRY_CHARACTERS_MAX:]
                rest = Piece(begun.address, begun.version_id, begun.at, output_type, text, stretch=begun.stretch)
                begun.text = begun.text[:ENTRY_CHARACTERS_MAX]
                self._append(begun)
                begun = rest
            if begun.text.endswith("\n"):
                self._append(begun)
            else:
                self._begun[key] = begun
        if not had_news:
            self._wake()

    def _append(self, piece: Piece) -> None:
        last = self._pieces[-1] if self._pieces else None
        if (
            last is not None
            and last.at == piece.at
            and last.output_type == piece.output_type
            and last.address == piece.address
            and last.version_id == piece.version_id
            and last.stretch == piece.stretch
            and len(last.text) + len(piece.text) <= ENTRY_CHARACTERS_MAX
        ):
            last.text += piece.text
            self._size += len(piece.text)
        else:
            self._pieces.append(piece)
            self._size += len(piece.text) + ENTRY_OVERHEAD
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while self._size > self._runtime.settings.log_buffer_max and self._pieces:
            oldest = self._pieces.popleft()
            self._size -= len(oldest.text) + ENTRY_OVERHEAD
            self._dropped[oldest.address, oldest.version_id] += 1

    def _wake(self) -> None:
        if threading.get_ident() == self._loop_thread:
            self._has_news.set()
        else:
            self._loop.call_soon_threadsafe(self._has_news.set)

    # -- writing -----------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Write what was heard before this call. Raises ``StoreError``; nothing is lost by that yet."""
        async with self._writing:
            pieces, dropped = self._taken()
            if not pieces and not dropped:
                return
            now = float(math.floor(self._runtime.clock.now()))
            notes = [
                Piece(address, version_id, now, "stderr", f"[perdure] dropped before they were written: {count:,}\n")
                for (address, version_id), count in dropped.items()
            ]
            try:
                await self._runtime.store.append_logs([piece.entry for piece in (*pieces, *notes)])
            except BaseException:
                self._put_back(pieces, dropped)
                raise

    def _taken(self) -> tuple[list[Piece], Counter[tuple[Address, str]]]:
        """All there is, also lines without an end: who reads wants to see what an instance has come to."""
        with self._lock:
            for piece in self._begun.values():
                self._append(piece)
            self._begun = {}
            pieces, dropped = list(self._pieces), self._dropped
            self._pieces, self._dropped, self._size = deque(), Counter(), 0
        return pieces, dropped

    def _put_back(self, pieces: list[Piece], dropped: Counter[tuple[Address, str]]) -> None:
        with self._lock:
            self._pieces.extendleft(reversed(pieces))
            self._size += sum(len(piece.text) + ENTRY_OVERHEAD for piece in pieces)
            self._dropped += dropped
            self._drop_oldest()

    async def forget(self, address: Address) -> None:
        """Drop what waits of an instance. What is being written is in the store when this returns."""
        async with self._writing:
            with self._lock:
                self._pieces = deque(piece for piece in self._pieces if piece.address != address)
                self._size = sum(len(piece.text) + ENTRY_OVERHEAD for piece in self._pieces)
                self._begun = {key: piece for key, piece in self._begun.items() if piece.address != address}
                for key in [key for key in self._dropped if key[0] == address]:
                    del self._dropped[key]

    async def _run(self) -> None:
        while True:
            await self._has_news.wait()
            await self._runtime.clock.sleep(self._runtime.settings.log_flush_interval)
            self._has_news.clear()
            try:
                await self.flush()
            except Exception:
                logger.exception("the logs of machines could not be written; it is tried again")
                self._has_news.set()

    # -- reading -----------------------------------------------------------------------------------

    async def read(
        self,
        org: str,
        *,
        since: float,
        until: float | None = None,
        machine: str | None = None,
        instance: str | None = None,
        version_id: str | None = None,
    ) -> LogPage:
        """The first 100 entries from ``since`` to before ``until``, which are milliseconds; more only if one
        millisecond has more. Raises ``StoreError``."""
        now = float(math.floor(self._runtime.clock.now()))
        await self.flush()
        end = now if until is None else min(until, now)

        async def entries(before: float, limit: int) -> list[LogEntry]:
            return await self._runtime.store.logs(
                org,
                since=since,
                until=before,
                machine=machine,
                instance=instance,
                version_id=version_id,
                limit=limit,
            )

        found = await entries(end, ENTRIES_PER_PAGE + 1)
        if len(found) > ENTRIES_PER_PAGE:
            cut = math.floor(found[-1].at)
            found = [entry for entry in found if entry.at < cut]
            if not found:
                found = await entries(float(cut + 1), self._runtime.settings.logs_max)
        elif found and until is not None and until <= now:
            return LogPage(entries=found, next=float(math.ceil(until)))
        return LogPage(entries=found, next=float(math.floor(found[-1].at) + 1) if found else None)
