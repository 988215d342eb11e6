"""Where coroutines leave work for threads, and how the answers come back.

Work is a function of a connection. All work that is submitted within one turn of the event loop is handed over at its
end, together: a thread that is woken by the first piece would otherwise fight the loop for the interpreter and find the
queue empty. Answers come back in groups too, one wake-up of the loop each.

Nothing that was submitted may wait for ever: when a thread fails, ``fail`` answers everything that is waiting or still
to come with the reason.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

import msgspec

from perdure.errors import StoreError

__all__ = ["Failed", "Inbox", "Job", "Outcome", "Work"]

T = TypeVar("T")

Work: TypeAlias = Callable[[sqlite3.Connection], T]


class Failed(msgspec.Struct, frozen=True):
    """The outcome of work that raised."""

    error: BaseException


Outcome: TypeAlias = Any | Failed
"""What a piece of work returned, or how it failed."""


class Job(msgspec.Struct, frozen=True):
    """A piece of work and the future that waits for its outcome."""

    work: Work[Any]
    answer: asyncio.Future[Any]
    then: Callable[[Outcome], None] | None


class Inbox:
    """A queue from one event loop to one or more threads. Methods without a remark are the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._gathered: list[Job] = []
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._is_closed = False
        self._failure: str | None = None

    async def do(self, work: Work[T], then: Callable[[Outcome], None] | None = None) -> T:
        """Have the work done by a thread. Raises what it raises, or ``StoreError`` when no thread serves the inbox.

        ``then`` is told the outcome before the caller, and also when the caller has been cancelled meanwhile.
        """
        if self._failure is not None:
            raise StoreError(self._failure)
        if self._is_closed:
            raise StoreError("the store is closed")
        answer: asyncio.Future[T] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(Job(work, answer, then))
        return await answer

    def close(self, threads: int) -> None:
        """Accept nothing more, and let each of the threads end once what was accepted is done."""
        self._is_closed = True
        self._hand_over()
        for _ in range(threads):
            self._queue.put(None)

    def take(self, limit: int) -> list[Job]:
        """Wait for work and take what is there, up to ``limit``; nothing means that the inbox is closed.

        Called by the threads.
        """
        jobs: list[Job] = []
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == limit:
                return jobs
            try:
                job = self._queue.get_nowait()
            except Empty:
                return jobs
        if jobs:
            self._queue.put(None)
        return jobs

    def answer(self, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        """Give the outcomes back to the coroutines that wait for them. Called by the threads."""
        try:
            self._loop.call_soon_threadsafe(_resolve, jobs, outcomes)
        except RuntimeError:
            # The loop was closed under the store: nobody waits any more.
            assert self._loop.is_closed()

    def fail(self, reason: str) -> None:
        """Refuse all work from now on, also what is waiting. Called by a thread that cannot go on."""
        self._failure = reason
        self._refuse_waiting()

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        for job in gathered:
            self._queue.put(job)
        if self._failure is not None:
            # The thread that failed emptied the queue once; what arrived after that is emptied here.
            self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        waiting: list[Job] = []
        ends = 0
        while True:
            try:
                job = self._queue.get_nowait()
            except Empty:
                break
            if job is None:
                ends += 1
            else:
                waiting.append(job)
        for _ in range(ends):
            self._queue.put(None)
        if waiting:
            self.answer(waiting, [Failed(StoreError(str(self._failure))) for _ in waiting])


def _resolve(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job.then is not None:
            job.then(outcome)
        if job.answer.done():
            # Its coroutine was cancelled; what it asked for may have happened all the same.
            continue
        if isinstance(outcome, Failed):
            job.answer.set_exception(outcome.error)
        else:
            job.answer.set_result(outcome)
