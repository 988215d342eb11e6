"""The demonstration shows what it promises, and leaves nothing running."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "examples" / "parent_child" / "demo.py"
SECONDS_MAX = 100


@pytest.mark.slow
async def test_demo_kills_the_server_and_sees_the_delayed_message_arrive_all_the_same() -> None:
    demo = await asyncio.create_subprocess_exec(sys.executable, DEMO, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(SECONDS_MAX):
        output = (await demo.communicate())[0].decode()
    assert demo.returncode == 0, output
    killed, restarted, arrived = (
        output.index(part) for part in ("kill -9", "a new server is up", "spawned child is now in done")
    )
    assert killed < restarted < arrived, output
    for pid in server_pids(output):
        assert not is_alive(pid), f"the server {pid} still runs"


@pytest.mark.slow
async def test_demo_that_is_terminated_takes_its_server_with_it() -> None:
    demo = await asyncio.create_subprocess_exec(sys.executable, "-u", DEMO, stdout=asyncio.subprocess.PIPE)
    assert demo.stdout is not None
    async with asyncio.timeout(SECONDS_MAX):
        first_line = (await demo.stdout.readline()).decode()
        demo.send_signal(signal.SIGTERM)
        await demo.communicate()
    assert demo.returncode == 1
    (pid,) = server_pids(first_line)
    assert not is_alive(pid), f"the server {pid} still runs"


def server_pids(output: str) -> list[int]:
    found = [int(pid) for pid in re.findall(r"process (\d+)", output)]
    assert found, output
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
