"""The inbox of the writer: on a fast disk the event loop commits by itself what was submitted in one of its turns.

To hand work to a thread and to be told of its end costs the loop more than a fast disk does. So a group is committed at
the end of the turn, on the loop's own thread, when nobody would notice: the disk has been fast lately, the work is
ordinary commits of ordinary size, and the writer's thread has nothing to do, so that everything is applied in the order
of submission. Otherwise the thread does it; so it does when another program is writing to the file, for which only the
thread waits.
"""

from __future__ import annotations

import asyncio
from typing import Any

from perdure.stores.sqlite.inbox import GROUP_MAX, Failed, Inbox, Work, resolve
from perdure.stores.sqlite.threads import Done
from perdure.stores.sqlite.writer import Writer

__all__ = ["INLINE_WEIGHT_MAX", "WriteInbox"]

ALONE_MIN = 16
"""After so many turns with one piece of work each, the next piece is taken to be alone too."""

INLINE_WEIGHT_MAX = 1024 * 1024
"""Bytes that the event loop writes by itself at the end of one turn."""


class WriteInbox(Inbox):
    """An inbox that one thread serves, and at times its own event loop. Methods are the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, writer: Writer) -> None:
        super().__init__(loop)
        self._writer = writer
        self._alone = 0
        """Turns of the loop, one after the other, in which one piece of work was submitted."""

    def do_alone(self, work: Work[Any], weight: float) -> bool:
        """Have the work done before this returns, if it is likely to be the only one of this turn of the loop.

        False when it was not done: it is to be submitted. Raises what the work raises.
        """
        if (
            self._alone < ALONE_MIN
            or self._is_ending_turn
            or self._unanswered
            or weight > INLINE_WEIGHT_MAX
            or self._is_closed
            or self._failure is not None
            or not self._writer.pace.is_fast
        ):
            return False
        came = self._writer.serve_at_once([work])
        if came is None:
            return False
        if came.fault is not None:
            self._give_up(came)
        self._alone = 0
        self._is_ending_turn = True  # whatever else is submitted in this turn is gathered
        self._loop.call_soon(self._end_turn)
        (outcome,) = came.outcomes
        if isinstance(outcome, Failed):
            raise outcome.error
        return True

    def _end_turn(self) -> None:
        self._is_ending_turn = False
        if not self._gathered:
            self._alone = ALONE_MIN  # what was done before the end of the turn was alone indeed
            return
        may_commit = (
            self._writer.pace.is_fast
            and not self._unanswered
            and self._gathered_weight <= INLINE_WEIGHT_MAX
            and self._failure is None
        )
        if not (may_commit and self._commit_group()):
            self._alone = 0
            self._hand_over()

    def _commit_group(self) -> bool:
        """Commit what was gathered, or the first group of it. False when a thread has to do it, or to refuse it."""
        jobs = self._gathered[:GROUP_MAX]
        came = self._writer.serve_at_once([job.work for job in jobs])
        if came is None:
            return False
        self._gathered = self._gathered[GROUP_MAX:]
        self._alone = self._alone + 1 if len(jobs) == 1 else 0
        resolve(jobs, came.outcomes)
        if came.fault is not None:
            self._give_up(came)
        elif self._gathered:
            self._is_ending_turn = True
            self._loop.call_soon(self._end_turn)
        else:
            self._gathered_weight = 0.0
        return True

    def _give_up(self, came: Done) -> None:
        assert came.fault is not None
        self._queue.put(None)  # the thread has nothing to do any more
        self.fail(came.fault)
        self._hand_over()
        if came.interruption is not None:
            raise came.interruption
