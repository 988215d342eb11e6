"""Collecting what is wrong with a config: every defect, where it is, and the nearest thing that would be right.

Locations are JSON paths into the config as the author wrote it: ``$.states.idle.on.GO[0].target``.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from perdure.errors import ConfigDefect, MachineConfigError

__all__ = ["Defects", "child_path", "describe", "nearest", "with_paths"]

PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


class Defects:
    """A growing list of defects."""

    def __init__(self) -> None:
        self.found: list[ConfigDefect] = []

    def add(self, path: str, message: str, suggestion: str | None = None) -> None:
        self.found.append(ConfigDefect(path, message, suggestion))

    def unknown_keys(self, path: str, keys: Iterable[object], known: Iterable[str]) -> None:
        """Report every key that is none of the known ones."""
        known = tuple(known)
        for key in keys:
            if not isinstance(key, str):
                self.add(path, f"the key {key!r} is not a string", "Keys of a config are strings.")
            elif key not in known:
                self.add(child_path(path, key), f"{key!r} is not a key that is allowed here", nearest(key, known))

    def raise_if_any(self) -> None:
        if self.found:
            raise MachineConfigError(self.found)


def child_path(path: str, key: str | int) -> str:
    """The JSON path of a member: ``.key`` where the key is plain, else ``["a key"]``, or ``[0]``."""
    return path + last_part(key)


@lru_cache(maxsize=4096)
def last_part(key: str | int) -> str:
    """The part of a path that names a member. Kept, since every part of a config is given its path, and most share
    keys."""
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key)}]"


def with_paths(config: Any, path: str) -> list[tuple[Any, str]]:
    """The items of a place that takes one thing, a list of them, or nothing."""
    if config is None:
        return []
    if isinstance(config, (list, tuple)):
        return [(item, child_path(path, index)) for index, item in enumerate(config)]
    return [(config, path)]


def nearest(word: str, known: Iterable[str]) -> str:
    """A suggestion: the nearest known word, or all of them when none is near."""
    known = sorted(set(known))
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not known:
        return "There are none to choose from."
    listed = ", ".join(repr(name) for name in known[:20])
    return f"Known are {listed}{', …' if len(known) > 20 else ''}."


def describe(value: Any) -> str:
    """A value in an error message: short, and with its type."""
    try:
        text = repr(value)
    except Exception:  # whatever a user's class raises, or a list nested too deeply
        text = "something that cannot be shown"
    return f"{text if len(text) <= 60 else text[:57] + '…'} ({type(value).__name__})"
