"""What machine code prints and logs, and whose it is.

Code that runs for an instance runs in a context that says so: a context variable holds the instance's ``Listener``, and
the tasks and threads of its services inherit it. ``sys.stdout`` and ``sys.stderr`` are replaced by streams that pass on
all they are given and tell the listener as well; outside such a context they do nothing else. Records of ``logging``
are seen as they are made and not by a handler: a handler at the root would switch off ``logging.basicConfig`` and the
last resort of the host application. So what a logger's level lets through is told once, whatever handlers there are,
and what these then write to a stream is not told again. Perdure's own records are not the machine's.

The streams are there while somebody has called ``install`` more often than ``uninstall``, from any thread. Whoever
replaces ``sys.stdout`` meanwhile, as test runners do, finds it replaced in turn when the next turn begins.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType
from typing import Any, Literal, Protocol, TextIO, TypeAlias, cast

from perdure.json_value import Json, encode_json

__all__ = ["LISTENER", "Listener", "OutputType", "begin", "install", "note", "note_error", "note_value", "uninstall"]

OutputType: TypeAlias = Literal["stdout", "stderr"]


class Listener(Protocol):
    """Told what the code of one instance says. Called from any thread; must not raise."""

    def begin(self, version_id: str) -> None:
        """From here on it is the code of this version."""
        ...

    def heard(self, output_type: OutputType, text: str) -> None:
        """A piece of text; a line may come in several."""
        ...


LISTENER: ContextVar[Listener | None] = ContextVar("perdure_listener", default=None)
"""Of the instance whose code runs; ``None`` outside of machine code."""


def begin(version_id: str) -> None:
    """Machine code of this version is about to run in this context."""
    listener = LISTENER.get()
    if listener is not None:
        listener.begin(version_id)
        if type(sys.stdout) is not Stream or type(sys.stderr) is not Stream:
            _STREAMS.replace_again()


def note(output_type: OutputType, text: str) -> None:
    """Tell the listener a whole line without writing it anywhere."""
    listener = LISTENER.get()
    if listener is not None:
        listener.heard(output_type, f"{text}\n")


def note_value(label: str | None, value: Json) -> None:
    """Tell the listener of what a ``log`` action says."""
    if LISTENER.get() is None:
        return
    try:
        text = value if isinstance(value, str) else encode_json(value).decode()
    except (TypeError, ValueError, RecursionError):  # it need not be JSON, since nobody keeps it
        text = repr(value)
    note("stdout", text if label is None else f"{label}: {text}")


def note_error(error: BaseException) -> None:
    """Tell the listener of what machine code has raised, with its traceback."""
    if LISTENER.get() is not None:
        note("stderr", "".join(traceback.format_exception(error)).rstrip("\n"))


def install() -> None:
    """Begin to listen; once more does no harm."""
    _STREAMS.install()


def uninstall() -> None:
    """Take back one ``install``. With the last one everything is as it was before."""
    _STREAMS.uninstall()


class Stream:
    """A text stream before another one, which gets everything."""

    def __init__(self, stream: TextIO, output_type: OutputType) -> None:
        self._stream = stream
        self._output_type = output_type

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        listener = LISTENER.get()
        if listener is not None and text and not is_logging(sys._getframe(1)):
            listener.heard(self._output_type, text)
        return written

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def is_logging(frame: FrameType | None) -> bool:
    """Whether this is the doing of a handler of ``logging``."""
    while frame is not None:
        if frame.f_code is _HANDLE:
            return True
        frame = frame.f_back
    return False


_HANDLE = logging.Handler.handle.__code__


class Streams:
    """What of this process is replaced, and how often somebody has asked for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._others_factory: Any = None
        self._our_factory: Any = None

    def install(self) -> None:
        with self._lock:
            self._users += 1
            others = logging.getLogRecordFactory()
            if self._our_factory is None or others is logging.LogRecord:
                self._others_factory, self._our_factory = others, listening(others)
                logging.setLogRecordFactory(self._our_factory)
            self._replace()

    def uninstall(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            if logging.getLogRecordFactory() is self._our_factory:  # or else somebody's is before it and needs it
                logging.setLogRecordFactory(self._others_factory)
                self._our_factory = None
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if type(stream) is Stream:
                    setattr(sys, name, stream._stream)

    def replace_again(self) -> None:
        """Only in the main thread, since somebody there may be about to put back what they had replaced."""
        if threading.current_thread() is threading.main_thread():
            with self._lock:
                if self._users:
                    self._replace()

    def _replace(self) -> None:
        kinds: tuple[OutputType, ...] = ("stdout", "stderr")
        for kind in kinds:
            stream = getattr(sys, kind)
            if stream is not None and type(stream) is not Stream:  # there are none in a program without a console
                setattr(sys, kind, cast(TextIO, Stream(stream, kind)))


_STREAMS = Streams()


def listening(make_record: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    """A factory of records that tells the listener of each."""

    def record_made(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make_record(*arguments, **named)
        listener = LISTENER.get()
        if listener is not None and not f"{record.name}.".startswith("perdure."):
            listener.heard("stderr", line_of(record))
        return record

    return record_made


def line_of(record: logging.LogRecord) -> str:
    """A record as the standard library shows it, with its traceback; one that cannot be formatted as it was written."""
    try:
        message = record.getMessage()
    except Exception:  # a wrong number of arguments, or one whose text cannot be had: logging reports it itself
        message = str(record.msg)
    lines = f"{record.levelname}:{record.name}:{message}\n"
    if record.exc_info and record.exc_info[1] is not None:
        lines += "".join(traceback.format_exception(record.exc_info[1]))
    return lines
