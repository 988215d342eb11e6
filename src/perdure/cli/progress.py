"""The progress bar of commands that take their time, on standard error and for people alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from perdure.cli.output import console

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(title: str, *, is_shown: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told how many are done, and of how many. Where nobody looks there is none."""
    # Rich's bar is slow to import, and most commands show none.
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    terminal = console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=terminal,
        disable=not is_shown or not terminal.is_terminal,
    )
    with bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
