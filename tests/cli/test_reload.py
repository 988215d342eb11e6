"""Machine files that follow their source, without a server and without watching."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from perdure.cli.reload import Broken, Deployed, MachineFiles, changes
from perdure.durable.records import VersionRecord
from perdure.errors import InvalidParameter, MachineCodeError
from perdure.machine_files import MachineFile


class Deployments:
    """Keeps what it is given; refuses sources with the word ``broken``."""

    def __init__(self) -> None:
        self.sources: dict[str, list[str]] = {}

    async def __call__(self, file: MachineFile) -> tuple[VersionRecord, bool]:
        if "broken" in file.source:
            raise MachineCodeError("is broken", file=str(file.path))
        sources = self.sources.setdefault(file.machine, [])
        is_new = not sources or sources[-1] != file.source
        if is_new:
            sources.append(file.source)
        version = VersionRecord(
            id=f"ver_{len(sources)}",
            org="org_1",
            machine=file.machine,
            created_at=0.0,
            client_info="",
            content_hash="",
            source=file.source,
            file_name=file.path.name,
        )
        return version, is_new


@pytest.fixture
def deployments() -> Deployments:
    return Deployments()


def write(path: Path, source: str) -> None:
    path.write_text(source, encoding="utf-8")


async def outcomes(files: MachineFiles) -> list[str]:
    """What became of each file, in few words."""
    return [
        f"{item.path.name} broken"
        if isinstance(item, Broken)
        else f"{item.file.machine} {item.version.id} {item.is_new}"
        for item in await files.refresh()
    ]


async def test_each_change_is_a_new_version_and_no_change_is_nothing(tmp_path: Path, deployments: Deployments) -> None:
    write(tmp_path / "door.py", "machine = 1")
    files = MachineFiles([tmp_path], deployments)
    assert await outcomes(files) == ["door ver_1 True"]
    assert await outcomes(files) == []
    write(tmp_path / "door.py", "machine = 2")
    assert await outcomes(files) == ["door ver_2 True"]


async def test_a_broken_edit_is_reported_once_and_keeps_the_version(tmp_path: Path, deployments: Deployments) -> None:
    write(tmp_path / "door.py", "machine = 1")
    files = MachineFiles([tmp_path], deployments)
    await files.refresh()
    for broken in ("machine = (", "machine = 'broken'"):
        write(tmp_path / "door.py", broken)
        assert await outcomes(files) == ["door.py broken"]
        assert await outcomes(files) == []
    assert deployments.sources == {"door": ["machine = 1"]}
    write(tmp_path / "door.py", "machine = 1")
    assert await outcomes(files) == ["door ver_1 False"]


async def test_one_broken_file_does_not_keep_the_others_back(tmp_path: Path, deployments: Deployments) -> None:
    write(tmp_path / "a.py", "machine = (")
    write(tmp_path / "b.py", "machine = 1")
    assert await outcomes(MachineFiles([tmp_path], deployments)) == ["a.py broken", "b ver_1 True"]


async def test_a_file_that_appears_is_deployed_and_one_that_goes_is_no_error(
    tmp_path: Path, deployments: Deployments
) -> None:
    files = MachineFiles([tmp_path], deployments)
    assert await outcomes(files) == []
    write(tmp_path / "door.py", "machine = 1")
    assert await outcomes(files) == ["door ver_1 True"]
    (tmp_path / "door.py").unlink()
    assert await outcomes(files) == []


async def test_the_second_of_two_files_for_one_machine_is_refused_until_the_first_gives_way(
    tmp_path: Path, deployments: Deployments
) -> None:
    write(tmp_path / "a.py", "machine = 1\nname = 'door'")
    write(tmp_path / "door.py", "machine = 2")
    files = MachineFiles([tmp_path], deployments)
    assert await outcomes(files) == ["door ver_1 True", "door.py broken"]
    write(tmp_path / "a.py", "machine = 1\nname = 'other'")
    write(tmp_path / "door.py", "machine = 3")
    assert await outcomes(files) == ["other ver_1 True", "door ver_2 True"]


async def test_a_named_file_has_to_hold_a_machine_and_one_in_a_directory_need_not(
    tmp_path: Path, deployments: Deployments
) -> None:
    write(tmp_path / "demo.py", "print('hello')")
    assert await outcomes(MachineFiles([tmp_path], deployments)) == []
    assert await outcomes(MachineFiles([tmp_path / "demo.py"], deployments)) == ["demo.py broken"]


async def test_a_named_path_that_is_gone_is_an_error(tmp_path: Path, deployments: Deployments) -> None:
    write(tmp_path / "door.py", "machine = 1")
    files = MachineFiles([tmp_path / "door.py"], deployments)
    (deployed,) = await files.refresh()
    assert isinstance(deployed, Deployed)
    (tmp_path / "door.py").unlink()
    with pytest.raises(InvalidParameter, match="does not exist"):
        await files.refresh()


@pytest.mark.parametrize("named", ["", "door.py"])
async def test_a_write_below_a_watched_path_is_noticed(tmp_path: Path, named: str) -> None:
    write(tmp_path / "door.py", "machine = 1")
    async with changes([tmp_path / named]) as changed:
        number = 1
        while not changed.is_set():  # the watch may not stand yet when the first write comes
            number += 1
            write(tmp_path / "door.py", f"machine = {number}")
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), 0.2)
