"""Every error perdure raises for its callers, each with a stable ``code``.

The code is the contract: it is what the HTTP API answers, what the CLI prints and what a client matches on. The message
says what was refused, where, and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ActorFailed",
    "AuthorizerRefused",
    "ChainTooLong",
    "CodeUploadDisabled",
    "ConfigDefect",
    "ContextTooLarge",
    "EventFailed",
    "EventTooLarge",
    "HttpHandlerFailed",
    "IdempotencyKeyReused",
    "InstanceEnded",
    "InstanceExists",
    "InvalidParameter",
    "InvalidState",
    "InvalidToken",
    "MachineCodeError",
    "MachineConfigError",
    "MailGone",
    "MailboxFull",
    "MicrostepLimitExceeded",
    "MigrationFailed",
    "MissingScope",
    "NoMigrationPath",
    "NoEventLoop",
    "NotFound",
    "PerdureError",
    "ReceiptExists",
    "ResultTooLarge",
    "SequenceConflict",
    "ServerUnreachable",
    "SnapshotMismatch",
    "StoreError",
    "TooManyChildren",
    "TooMuchMail",
    "UnexpectedAnswer",
    "text_of",
]


class PerdureError(Exception):
    """The root of every error perdure raises on purpose."""

    code: ClassVar[str] = "error"


class InvalidParameter(PerdureError):
    """A value a caller gave is not acceptable. ``parameter`` names it as the caller wrote it."""

    code = "invalid-parameter"

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class NotFound(PerdureError):
    """There is no machine, version, instance, key or page of that name here."""

    code = "not-found"


class InvalidState(PerdureError):
    """The thing exists and is not in a state that allows this: a duplicate, a paused or a stopped instance."""

    code = "invalid-state"


class InstanceExists(InvalidState):
    """An instance of that name exists already; the loser of a create race gets this."""


class InstanceEnded(InvalidState):
    """The instance was stopped, or has ended in an error: it can be read, and will never take an event again."""

    code = "instance-ended"


class InvalidToken(PerdureError):
    """No token, a token that does not verify, or one that has expired."""

    code = "invalid-token"


class MissingScope(PerdureError):
    """The token's key lacks the scope that this operation needs."""

    code = "missing-scope"


class AuthorizerRefused(PerdureError):
    """``allow_read`` or ``allow_write`` of the machine version answered false, or raised."""

    code = "rejected-by-machine-authorizer"


class CodeUploadDisabled(PerdureError):
    """The server was not started with permission to accept machine code."""

    code = "code-upload-disabled"


class EventFailed(PerdureError):
    """A guard, an assigner or another pure part of the machine raised; the instance is exactly as before."""

    code = "machine-error"


class HttpHandlerFailed(PerdureError):
    """A handler of the machine's HTTP API raised, or answered what is no event; nothing has happened."""

    code = "http-handler-failed"


class MicrostepLimitExceeded(EventFailed):
    """A macrostep did not become stable within the limit; the message names the states of the loop."""

    code = "microstep-limit"


class ContextTooLarge(EventFailed):
    """The context after the event exceeds its limit in bytes, or is not JSON; the instance is exactly as before."""

    code = "context-too-large"


class EventTooLarge(EventFailed):
    """An event exceeds its limit in bytes: one that was sent from outside, or one that the machine would send."""

    code = "event-too-large"


class TooManyChildren(EventFailed):
    """The event would give an instance more children than one may have; the instance is exactly as before."""

    code = "too-many-children"


class TooMuchMail(EventFailed):
    """The event would let the machine send more messages than one event may; the instance is exactly as before."""

    code = "too-much-mail"


class ChainTooLong(EventFailed):
    """Messages have come of one another without anything from outside until the limit; the last one is not applied."""

    code = "chain-too-long"


class MailboxFull(PerdureError):
    """As many requests as may wait for the instance wait already. Nothing has happened; try again a little later."""

    code = "mailbox-full"


class ResultTooLarge(PerdureError):
    """What a service returned exceeds its limit in bytes. Its machine learns it as the error of the service."""

    code = "result-too-large"


class MigrationFailed(EventFailed):
    """A migration raised, or led an instance to where the newer version cannot stand; the instance is as before.

    ``detail`` says more than the callers of an event should learn: what was raised, with its text.
    """

    code = "migration-failed"

    def __init__(self, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.detail = detail or message


class NoMigrationPath(PerdureError):
    """No sequence of migrations leads from the instance's version to the one that was asked for."""

    code = "no-migration-path"


class ActorFailed(PerdureError):
    """An actor in memory has ended in status ``error``, and who waits for it or runs it has to know.

    ``error`` is the data of the error event that nobody handled.
    """

    code = "actor-failed"

    def __init__(self, message: str, error: object = None) -> None:
        super().__init__(message)
        self.error = error


class NoEventLoop(PerdureError):
    """A coroutine, a thread, a stream or a timer of the system's clock needs a running event loop, and there is none.

    Run the program with ``asyncio.run``, or give ``interpret`` a ``SimulatedClock`` where only timers need it.
    """

    code = "no-event-loop"


class IdempotencyKeyReused(PerdureError):
    """The idempotency key stands for another request to this instance. Nothing has happened; take a fresh key."""

    code = "idempotency-key-reused"


class SnapshotMismatch(PerdureError):
    """A snapshot belongs to another machine, or to a format this release does not read."""

    code = "snapshot-mismatch"


class ConfigDefect:
    """One thing wrong with a machine config: where (a JSON path), what, and what to write instead."""

    __slots__ = ("message", "path", "suggestion")

    def __init__(self, path: str, message: str, suggestion: str | None = None) -> None:
        self.path = path
        self.message = message
        self.suggestion = suggestion

    def __str__(self) -> str:
        hint = f" {self.suggestion}" if self.suggestion else ""
        return f"{self.path}: {self.message}.{hint}"

    def __repr__(self) -> str:
        return f"ConfigDefect({str(self)!r})"


class MachineConfigError(PerdureError):
    """A machine config cannot be built. ``defects`` lists everything wrong with it, not just the first."""

    code = "invalid-machine"

    def __init__(self, defects: list[ConfigDefect]) -> None:
        self.defects = tuple(defects)
        noun = "defect" if len(defects) == 1 else "defects"
        lines = "\n".join(f"  {defect}" for defect in defects)
        super().__init__(f"the machine has {len(defects)} {noun}:\n{lines}")


class MachineCodeError(PerdureError):
    """A machine file cannot be used: it does not import, or lacks an export. ``file`` and ``line`` say where."""

    code = "invalid-machine-code"

    def __init__(self, message: str, *, file: str, line: int | None = None) -> None:
        self.file = file
        self.line = line
        self.reason = message
        super().__init__(f"{file}:{line}: {message}" if line is not None else f"{file}: {message}")


class StoreError(PerdureError):
    """The store could not do what was asked."""

    code = "store-error"


class SequenceConflict(StoreError):
    """A commit lost its compare-and-swap: the instance has moved on. Reload it and run the turn again."""

    code = "sequence-conflict"


class MailGone(StoreError):
    """A commit consumes mail that is no longer pending: it was applied or cancelled already. Drop the turn."""

    code = "mail-gone"


class ReceiptExists(StoreError):
    """A commit carries the receipt of a request that has been applied already. Drop the turn and answer the receipt."""

    code = "receipt-exists"


class ServerUnreachable(PerdureError):
    """A client got no answer from the server. Whether a request in flight took effect is unknown."""

    code = "server-unreachable"


class UnexpectedAnswer(PerdureError):
    """A client got an answer that this release does not know. ``status`` is its HTTP status."""

    code = "unexpected-answer"

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


def text_of(error: BaseException) -> str:
    """What an error says, as text that can be stored and sent whatever its class does and whatever bytes it quotes."""
    try:
        text = str(error)
    except Exception as failure:
        text = f"it cannot say what it is: {type(failure).__name__}"
    return text.encode("utf-8", "backslashreplace").decode()
