"""Envelopes: messages on their way into an instance, with whoever waits for what becomes of them."""

from __future__ import annotations

import asyncio

from perdure.durable.message import Message
from perdure.durable.records import InstanceRecord, Mail

__all__ = ["Envelope"]


class Envelope:
    """A message in a resident's inbox, and who waits for what becomes of it."""

    __slots__ = ("answer", "applied_ts", "child", "is_external", "is_last_word", "mail", "message", "settles", "trace")

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
        """Whether the answer waits until the instance has settled, or is given once the commit is durable."""
        self.is_external = is_external
        """Whether it moves the processing deadline: true of clients, timers and other instances."""
        self.applied_ts = 0.0
        """The ``ts`` of the commit that applied it; that of the answer is later if the instance had to settle."""
        self.trace = trace
        """The ``traceparent`` of what it came of, when that is traced."""
        self.answer: asyncio.Future[InstanceRecord | None] = asyncio.get_running_loop().create_future()
        # A failed answer that nobody collects (its request was cancelled, or it is mail) is no fault of the loop's.
        self.answer.add_done_callback(lambda answer: answer.cancelled() or answer.exception())

    def is_behind(self, mail: Mail) -> bool:
        """Whether it is mail that must not overtake this one, from the same sender."""
        return self.mail is not None and self.child is None and self.mail.sender == mail.sender

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def succeed(self, record: InstanceRecord | None) -> None:
        if not self.answer.done():
            self.answer.set_result(record)
