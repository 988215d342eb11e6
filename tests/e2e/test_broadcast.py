"""A broadcast to a full room outlives the process that sends it: each member gets it exactly once."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from perdure import DEFAULT_ORG, address
from perdure.stores.sqlite import SqliteStore

PROGRAM = Path(__file__).with_name("broadcasting.py")
SECONDS_MAX = 300


async def program(file: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        PROGRAM,
        str(file),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def heard_by(file: Path, count: int) -> Counter[tuple[str, ...]]:
    """What the members have heard, by their contexts and by their journals."""
    store = SqliteStore(file)
    await store.open()
    found: Counter[tuple[str, ...]] = Counter()
    try:
        for number in range(count):
            member = address("member", f"m{number}")
            record = await store.load(member)
            assert record is not None
            journal = [entry.event["type"] for entry in (await store.journal(member, cursor=None, limit=9)).rows]
            assert journal == ["xstate.init", *record.snapshot.context["got"]]
            found[tuple(record.snapshot.context["got"])] += 1
        assert (await store.list_dead_letters(DEFAULT_ORG, cursor=None, limit=9)).rows == []
    finally:
        await store.close()
    return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_each_member_gets_a_broadcast_once_though_the_process_is_killed_halfway(
    tmp_path: Path, count: int
) -> None:
    file = tmp_path / "room.db"
    async with asyncio.timeout(SECONDS_MAX):
        speaking = await program(file, "speak", str(count))
        await speaking.communicate()
        assert speaking.returncode == -signal.SIGKILL
        half = await heard_by(file, count)
        assert set(half) == {(), ("HELLO",)}, "it was to be killed halfway"
        finishing = await program(file, "finish")
        output, _ = await finishing.communicate()
        assert (finishing.returncode, output) == (0, b"finished\n")
    assert await heard_by(file, count) == {("HELLO",): count}
