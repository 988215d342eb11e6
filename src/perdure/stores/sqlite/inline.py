"""The inbox of the writer: on a fast disk the event loop commits by itself what was submitted in one of its turns.

To hand work to a thread and to be told of its end costs the loop more than a fast disk does. So a group is committed at
the end of the turn, on the loop's own thread, when nobody would notice: the disk has been fast lately, the work is
ordinary commits of ordinary size, and the writer's thread has nothing to do, so that everything is applied in the order
of submission. Otherwise the thread does it; so it does when another program is writing to the file, for which only the
thread waits.
"""

from __future__ import annotations

import asyncio

from perdure.stores.sqlite.inbox import GROUP_MAX, Inbox, resolve
from perdure.stores.sqlite.writer import Writer

__all__ = ["INLINE_WEIGHT_MAX", "WriteInbox"]

INLINE_WEIGHT_MAX = 1024 * 1024
"""Bytes that the event loop writes by itself at the end of one turn."""


class WriteInbox(Inbox):
    """An inbox that one thread serves, and at times its own event loop. Methods are the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, writer: Writer) -> None:
        super().__init__(loop)
        self._writer = writer

    def _end_turn(self) -> None:
        self._is_ending_turn = False
        may_commit = (
            self._writer.pace.is_fast
            and not self._unanswered
            and self._gathered_weight <= INLINE_WEIGHT_MAX
            and self._failure is None
        )
        if not (may_commit and self._commit_group()):
            self._hand_over()

    def _commit_group(self) -> bool:
        """Commit what was gathered, or the first group of it. False when a thread has to do it, or to refuse it."""
        jobs = self._gathered[:GROUP_MAX]
        came = self._writer.serve_at_once([job.work for job in jobs])
        if came is None:
            return False
        self._gathered = self._gathered[GROUP_MAX:]
        resolve(jobs, came.outcomes)
        if came.fault is not None:
            self._queue.put(None)  # the thread has nothing to do any more
            self.fail(came.fault)
            self._hand_over()
            if came.interruption is not None:
                raise came.interruption
        elif self._gathered:
            self._is_ending_turn = True
            self._loop.call_soon(self._end_turn)
        else:
            self._gathered_weight = 0.0
        return True
