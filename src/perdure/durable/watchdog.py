"""The watchdog: who is it that holds up everybody?

Machine code runs on the event loop that all instances share, so a guard or an action that computes for a second, or
waits for the disk, stops everything for as long. The watchdog says which one: afterwards, by the clock, with how long
it took; and while it runs, from a thread of its own, with the function and the stack. The thread speaks even of code
that never returns. It counts ticks and reads no clock: code that is there at two ticks has run for one at least.

It names and stops nothing: code in this process cannot be stopped from outside.
"""

from __future__ import annotations

import sys
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import TypeAlias

from perdure.durable.message import Message, title_of
from perdure.durable.records import Address
from perdure.logs import get_logger

__all__ = ["Watchdog"]

logger = get_logger("perdure.watchdog")

PACKAGE = str(Path(__file__).parents[1])
STACK_FRAMES_MAX = 12

Watched: TypeAlias = tuple[Address, Message | int, float]
"""Machine code that runs now: whose it is, what it handles, and since when. No two of them are one object."""


class Watchdog:
    """Watches the machine code of one event loop. ``slow_turn`` is in milliseconds; with 0 it watches nothing."""

    def __init__(self, slow_turn: float) -> None:
        self._slow_turn = slow_turn
        self._loop_thread = 0
        self._watched: Watched | None = None
        self._must_end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch the thread that calls this."""
        self._loop_thread = threading.get_ident()
        if self._slow_turn > 0:
            self._thread = threading.Thread(target=self._run, name="perdure-watchdog", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._must_end.set()
        if self._thread is not None:
            self._thread.join()

    def begin(self, address: Address, what: Message | int, now: float) -> None:
        """Machine code begins to run for an instance: the turn of a message, or the effects of its commit with this
        sequence number. Nothing may be awaited before its ``end``.
        """
        self._watched = (address, what, now)

    def end(self, now: float) -> None:
        """It has returned."""
        watched, self._watched = self._watched, None
        if watched is not None and now - watched[2] > self._slow_turn > 0:
            address, what, began = watched
            logger.warning(
                "machine code held up every instance",
                instance=str(address),
                turn=title(what),
                milliseconds=round(now - began),
            )

    def _run(self) -> None:
        """Speak at the second tick at which the same code runs, and then each time it has run twice as long."""
        known: Watched | None = None
        ticks, speak_at = 0, 1
        while not self._must_end.wait(self._slow_turn / 1000):
            watched = self._watched
            if watched is None or watched is not known:
                known, ticks, speak_at = watched, 0, 1
                continue
            ticks += 1
            if ticks == speak_at:
                speak_at *= 2
                self._speak(watched, ticks)

    def _speak(self, watched: Watched, ticks: int) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        if frame is None or self._watched is not watched:
            return  # it has just ended
        logger.warning(
            "machine code is holding up every instance",
            instance=str(watched[0]),
            turn=title(watched[1]),
            function=function_in(frame),
            milliseconds_at_least=round(ticks * self._slow_turn),
            stack="".join(traceback.format_stack(frame)[-STACK_FRAMES_MAX:]),
        )


def title(what: Message | int) -> str:
    return f"effects of commit {what}" if isinstance(what, int) else title_of(what)


def function_in(frame: FrameType) -> str:
    """The function of the machine that perdure has called: the outermost one behind the last of perdure's own."""
    called = current = frame
    found: FrameType | None = frame
    while found is not None:
        if found.f_code.co_filename.startswith(PACKAGE):
            break
        called, found = found, found.f_back
    else:
        called = current
    return f"{called.f_code.co_qualname} at {called.f_code.co_filename}:{called.f_lineno}"
