"""Envelopes: messages on their way into an instance, with whoever waits for what becomes of them."""

from __future__ import annotations

import asyncio

import msgspec

from perdure.durable.message import Message
from perdure.durable.records import InstanceRecord, Mail
from perdure.json_value import json_copy

__all__ = ["Envelope"]


class Envelope:
    """A message in a resident's inbox, and who waits for what becomes of it."""

    __slots__ = (
        "_answer",
        "_error",
        "_is_over",
        "_record",
        "applied_ts",
        "child",
        "is_external",
        "is_last_word",
        "mail",
        "message",
        "settles",
        "trace",
    )

    def __init__(
        self,
        message: Message | None,
        *,
        mail: Mail | None = None,
        child: tuple[str, int] | None = None,
        is_last_word: bool = False,
        settles: bool = False,
        is_external: bool = True,
        trace: str | None = None,
    ) -> None:
        self.message = message
        """``None`` asks the resident to delete its instance."""
        self.mail = mail
        self.child = child
        """The id and session of the ephemeral child that this is word of; void once that has been stopped."""
        self.is_last_word = is_last_word
        """Whether it is the word of that child's end."""
        self.settles = settles
        """Whether the answer waits until the instance has settled, and is a record of its own; or is given once the
        commit is durable."""
        self.is_external = is_external
        """Whether it moves the processing deadline: true of clients, timers and other instances."""
        self.applied_ts = 0.0
        """The ``ts`` of the commit that applied it; that of the answer is later if the instance had to settle."""
        self.trace = trace
        """The ``traceparent`` of what it came of, when that is traced."""
        self._answer: asyncio.Future[InstanceRecord | None] | None = None
        self._is_over = False
        self._record: InstanceRecord | None = None
        self._error: Exception | None = None

    @property
    def answer(self) -> asyncio.Future[InstanceRecord | None]:
        """The record that handling it led to; raises what it failed with. Made for who asks: nobody asks of mail, and
        a future costs as much as the rest of an envelope.
        """
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
            if self._is_over:
                self._give(self._answer)
        return self._answer

    def is_behind(self, mail: Mail) -> bool:
        """Whether it is mail that must not overtake this one, from the same sender."""
        return self.mail is not None and self.child is None and self.mail.sender == mail.sender

    def fail(self, error: Exception) -> None:
        self._end(None, error)

    def succeed(self, record: InstanceRecord | None, *, is_own: bool = False) -> None:
        """``is_own`` says that nobody else has this record's context."""
        if self.settles and record is not None and not is_own:
            # Whoever waits looks at it later. Machine code that runs before may change the context that it is shown.
            snapshot = msgspec.structs.replace(record.snapshot, context=json_copy(record.snapshot.context))
            record = msgspec.structs.replace(record, snapshot=snapshot)
        self._end(record, None)

    def _end(self, record: InstanceRecord | None, error: Exception | None) -> None:
        """The first word counts."""
        if not self._is_over:
            self._is_over, self._record, self._error = True, record, error
            if self._answer is not None and not self._answer.done():
                self._give(self._answer)

    def _give(self, answer: asyncio.Future[InstanceRecord | None]) -> None:
        if self._error is None:
            answer.set_result(self._record)
        else:
            answer.set_exception(self._error)
            answer.exception()  # one that nobody collects, because its request was cancelled, is no fault of the loop's
