"""What a store holds after its process was killed, or its disk failed: every acknowledged commit, once."""

from __future__ import annotations

import signal
import subprocess
import sys
from math import inf
from pathlib import Path

import pytest

from perdure.durable.records import Address
from perdure.errors import StoreError
from perdure.stores.sqlite import SqliteStore
from tests.stores.sqlite.children import INSTANCES

ROOT = Path(__file__).resolve().parents[3]


WHOEVER_COMMITS = pytest.mark.parametrize("inline_commit_ms", [0.0, 1.0, inf], ids=["thread", "faster", "loop"])


def start(program: str, path: Path, inline_commit_ms: float = 1.0) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.stores.sqlite.children", program, str(path), str(inline_commit_ms)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def kill(child: subprocess.Popen[str]) -> str:
    """Kill a child without warning and answer what it had said that was not read yet."""
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    return rest


@pytest.mark.slow
@WHOEVER_COMMITS
async def test_every_acknowledged_commit_is_there_once_after_the_process_is_killed(
    tmp_path: Path, inline_commit_ms: float
) -> None:
    path = tmp_path / "perdure.db"
    acknowledged = {address.instance: 0 for address in INSTANCES}
    for acknowledgements in (1, 300, 1000):
        child = start("commit_for_ever", path, inline_commit_ms)
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(acknowledgements)]
        said += kill(child).splitlines()
        for line in said:
            name, number = line.split()
            acknowledged[name] = max(acknowledged[name], int(number))
        store = SqliteStore(path)
        await store.open()
        for address in INSTANCES:
            record = await store.load(address)
            sequence = record.sequence if record else 0
            assert acknowledged[address.instance] <= sequence <= acknowledged[address.instance] + 1
            journal = await store.journal(address, cursor=None, limit=100_000)
            assert [entry.sequence for entry in journal.rows] == list(range(1, sequence + 1))
            pending = [mail.id for mail in await store.pending_mail(address)]
            assert pending == ([f"{address}:{sequence}"] if sequence else [])
        await store.close()
    assert sum(acknowledged.values()) > 1300


@pytest.mark.slow
async def test_a_second_process_is_refused_by_name_until_the_first_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    child = start("hold_open", path)
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    store = SqliteStore(path)
    with pytest.raises(StoreError, match=rf"process {child.pid}\b"):
        await store.open()
    kill(child)
    await store.open()
    await store.close()


@pytest.mark.slow
@WHOEVER_COMMITS
async def test_a_failing_disk_fails_all_commits_and_loses_none_that_returned(
    tmp_path: Path, inline_commit_ms: float
) -> None:
    path = tmp_path / "perdure.db"
    child = start("commit_until_the_disk_fails", path, inline_commit_ms)
    said, _ = child.communicate(timeout=60)
    committed, refused, later, closed = said.splitlines()
    assert "disk" in refused
    assert later == "later ['StoreError']"
    assert closed == "closed"
    store = SqliteStore(path)
    await store.open()
    record = await store.load(INSTANCES[0])
    assert record is not None
    assert committed == f"committed {record.sequence}"
    assert record.sequence > 10
    await store.close()


@pytest.mark.slow
@WHOEVER_COMMITS
async def test_a_disk_that_fails_a_checkpoint_fails_all_commits_and_loses_none_that_returned(
    tmp_path: Path, inline_commit_ms: float
) -> None:
    path = tmp_path / "perdure.db"
    child = start("commit_until_the_database_cannot_grow", path, inline_commit_ms)
    said, _ = child.communicate(timeout=60)
    created, refused, log, later = said.splitlines()
    assert "disk" in refused
    assert int(log.removeprefix("log ")) < 80_000_000, "it was not the log that found no room"
    assert later == "later ['StoreError']"
    store = SqliteStore(path)
    await store.open()
    page = await store.list_instances("org-a", "person", cursor=None, limit=100_000)
    assert len(page.rows) >= int(created.removeprefix("created ")) > 1000
    for row in page.rows:
        assert await store.load(Address("org-a", "person", row.name)) is not None
    await store.close()
