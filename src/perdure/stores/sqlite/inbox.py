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

__all__ = ["GROUP_MAX", "HEAVY", "Failed", "Inbox", "Job", "Outcome", "Work", "resolve"]

T = TypeVar("T")

Work: TypeAlias = Callable[[sqlite3.Connection], T]

GROUP_MAX = 128
"""Pieces of work in one transaction, and reads answered at once: bounds how long one waits for its neighbours."""

HEAVY = float("inf")
"""The weight of work of which nobody knows how long it takes."""


class Failed(msgspec.Struct, frozen=True):
    """The outcome of work that raised."""

    error: BaseException


Outcome: TypeAlias = Any | Failed
"""What a piece of work returned, or how it failed."""


class Job(msgspec.Struct, frozen=True):
    """A piece of work and the future that waits for its outcome."""

    work: Work[Any]
    answer: asyncio.Future[Any]


class Inbox:
    """A queue from one event loop to one or more threads. Methods without a remark are the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._gathered: list[Job] = []
        self._gathered_weight = 0.0
        self._is_ending_turn = False
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._unanswered = 0
        """Jobs that the threads were given and that are not answered."""
        self._is_closed = False
        self._failure: str | None = None

    def do(self, work: Work[T], weight: float = HEAVY) -> asyncio.Future[T]:
        """Have the work done. Raises, or answers, ``StoreError`` when nobody serves the inbox.

        What the work raises is answered. The caller may be cancelled; the work may be done all the same.
        """
        if self._failure is not None:
            raise StoreError(self._failure)
        if self._is_closed:
            raise StoreError("the store is closed")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._gathered.append(Job(work, answer))
        self._gathered_weight += weight
        if not self._is_ending_turn:
            self._is_ending_turn = True
            self._loop.call_soon(self._end_turn)
        return answer

    def do_alone(self, work: Work[Any], weight: float) -> bool:
        """Have the work done before this returns, or not at all: then it is to be submitted. Threads do not."""
        return False

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
            self._loop.call_soon_threadsafe(self._answered, jobs, outcomes)
        except RuntimeError:
            # The loop was closed under the store: nobody waits any more.
            assert self._loop.is_closed()

    def fail(self, reason: str) -> None:
        """Refuse all work from now on, also what is waiting. Called by a thread that cannot go on."""
        self._failure = reason
        self._refuse_waiting()

    def _end_turn(self) -> None:
        """A turn of the loop in which something was submitted is over."""
        self._is_ending_turn = False
        self._hand_over()

    def _hand_over(self) -> None:
        """Give the threads what was gathered."""
        gathered, self._gathered, self._gathered_weight = self._gathered, [], 0.0
        self._unanswered += len(gathered)
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

    def _answered(self, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        self._unanswered -= len(jobs)
        resolve(jobs, outcomes)


def resolve(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        answer = job.answer
        if answer.done():
            # Its coroutine was cancelled; what it asked for may have happened all the same.
            continue
        if isinstance(outcome, Failed):
            answer.set_exception(outcome.error)
        else:
            answer.set_result(outcome)
