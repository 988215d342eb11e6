"""Machine files that follow their source: each change on disk becomes a new version, a broken one is reported.

Only files whose text has changed since the last look are looked at, so a broken file is reported once per edit.
Whatever is wrong with a file, its machine keeps the version that it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import msgspec
from watchfiles import Change, DefaultFilter, awatch

from perdure.durable.records import VersionRecord
from perdure.errors import PerdureError
from perdure.machine_files import MachineFile, no_machine, python_files, read_machine_file, same_machine

__all__ = ["Broken", "Deployed", "MachineFiles", "Outcome", "changes"]


class Deployed(msgspec.Struct, frozen=True):
    """A file is its machine's current version; ``is_new`` says whether it was not before."""

    file: MachineFile
    version: VersionRecord
    is_new: bool


class Broken(msgspec.Struct, frozen=True):
    """A file cannot be a version, and why."""

    path: Path
    error: PerdureError


Outcome: TypeAlias = Deployed | Broken
Deploy: TypeAlias = Callable[[MachineFile], Awaitable[tuple[VersionRecord, bool]]]


class MachineFiles:
    """The machine files of some paths, as they were when last looked at."""

    def __init__(self, paths: Iterable[Path], deploy: Deploy) -> None:
        self._paths = tuple(paths)
        self._deploy = deploy
        self._texts: dict[Path, bytes] = {}
        self._machines: dict[str, Path] = {}

    async def refresh(self) -> list[Outcome]:
        """Deploy every file whose text has changed; what became of each. Raises ``InvalidParameter`` for lost paths."""
        files = python_files(self._paths)
        for gone in self._texts.keys() - set(files):
            del self._texts[gone]
        self._machines = {machine: path for machine, path in self._machines.items() if path in self._texts}
        outcomes = [await self._look_at(path) for path in files]
        return [outcome for outcome in outcomes if outcome is not None]

    async def _look_at(self, path: Path) -> Outcome | None:
        text = _text_of(path)
        if text is None:
            return None
        if self._texts.get(path) == text:
            return None
        self._texts[path] = text
        self._machines = {machine: other for machine, other in self._machines.items() if other != path}
        try:
            file = read_machine_file(path)
            if file is None:
                if path in self._paths:
                    raise no_machine(path)
                return None
            other = self._machines.setdefault(file.machine, path)
            if other != path:
                raise same_machine(file, msgspec.structs.replace(file, path=other))
            version, is_new = await self._deploy(file)
        except PerdureError as error:
            return Broken(path, error)
        return Deployed(file, version, is_new)


def _text_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None  # an editor is replacing it; its next event is on the way


class _PythonFilter(DefaultFilter):
    """Python files, and directories that appear or go."""

    def __call__(self, change: Change, path: str) -> bool:
        return super().__call__(change, path) and (path.endswith(".py") or change is not Change.modified)


@asynccontextmanager
async def changes(paths: Iterable[Path]) -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever something below the paths has changed; the reader clears it."""
    changed = asyncio.Event()
    # An editor may write a new file and rename it over the old one, so the directory of a file is what has to be
    # watched.
    watches = {(path, True) if path.is_dir() else (path.parent, False) for path in paths}
    tasks = [asyncio.create_task(_watch(path, changed, recursive=recursive)) for path, recursive in watches]
    try:
        yield changed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(path: Path, changed: asyncio.Event, *, recursive: bool) -> None:
    async for _ in awatch(path, recursive=recursive, watch_filter=_PythonFilter()):
        changed.set()
