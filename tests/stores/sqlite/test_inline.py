"""When the event loop commits by itself and when the writer's thread does; what is stored does not tell."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from itertools import count
from math import inf
from pathlib import Path

import pytest

from perdure.errors import StoreError
from perdure.stores.sqlite.inbox import GROUP_MAX, HEAVY
from perdure.stores.sqlite.inline import INLINE_WEIGHT_MAX
from perdure.stores.sqlite.pace import ROW_MS, Pace
from tests.stores.sqlite.writers import Disk, Writing


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def writing(tmp_path: Path, disk: Disk) -> AsyncIterator[Writing]:
    """A writer that lets the event loop commit while the disk takes less than 1 ms."""
    writing = Writing(tmp_path / "numbers.db", 1.0, clock=disk, busy_timeout_ms=5_000)
    yield writing
    await writing.close()


@pytest.fixture
async def inline(tmp_path: Path) -> AsyncIterator[Writing]:
    """A writer that lets the event loop commit whatever the disk does."""
    writing = Writing(tmp_path / "numbers.db", inf, busy_timeout_ms=5_000)
    yield writing
    await writing.close()


# -- the change --------------------------------------------------------------------------------------------------------


async def test_the_loop_commits_once_the_disk_has_shown_to_be_fast(writing: Writing) -> None:
    for number in range(40):
        await writing.insert(number)
    assert writing.committers[0] == "thread"
    assert writing.committers[-1] == "loop"
    assert writing.committers == sorted(writing.committers, reverse=True), "it changed once"


async def test_the_thread_commits_soon_after_the_disk_has_become_slow_and_until_it_is_fast_again(
    writing: Writing, disk: Disk
) -> None:
    for number in range(40):
        await writing.insert(number)
    disk.milliseconds = 50.0
    for number in range(40, 80):
        await writing.insert(number)
    slow_inline = writing.committers[40:].count("loop")
    assert 0 < slow_inline <= 4
    assert writing.committers[-1] == "thread"
    disk.milliseconds = 0.1
    for number in range(80, 120):
        await writing.insert(number)
    assert writing.committers[-1] == "loop"
    assert await writing.numbers() == list(range(120))


async def test_one_bad_moment_of_a_fast_disk_changes_nothing(writing: Writing, disk: Disk) -> None:
    for number in range(40):
        await writing.insert(number)
    disk.milliseconds = 10_000.0
    await writing.insert(40)
    disk.milliseconds = 0.1
    await writing.insert(41)
    assert writing.committers[-1] == "loop"


async def test_writes_are_applied_in_the_order_of_submission_whoever_commits(inline: Writing) -> None:
    numbers = count()
    for size in [1, 2, 5, 30] * 10:
        waiting = []
        for weight in (0.0, HEAVY, 0.0, 0.0):  # the loop, the thread, and what comes while the thread is at work
            waiting += [asyncio.ensure_future(inline.insert(next(numbers), weight)) for _ in range(size)]
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
    inserted = [statement for statement in inline.statements if statement.startswith("INSERT")]
    assert inserted == [f"INSERT INTO number VALUES ({number})" for number in range(next(numbers))]
    assert set(inline.committers) == {"loop", "thread"}


# -- what the thread has to do -----------------------------------------------------------------------------------------


async def test_heavy_work_and_all_that_was_submitted_with_it_is_done_by_the_thread(inline: Writing) -> None:
    await asyncio.gather(inline.insert(1), inline.insert(2, HEAVY), inline.insert(3))
    await asyncio.gather(inline.insert(4, INLINE_WEIGHT_MAX), inline.insert(5, 1))
    assert inline.committers == ["thread", "thread"]
    await inline.insert(6, INLINE_WEIGHT_MAX)
    assert inline.committers == ["thread", "thread", "loop"]


async def test_what_is_submitted_while_the_thread_works_waits_for_it(inline: Writing) -> None:
    heavy = asyncio.ensure_future(inline.insert(1, HEAVY))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # by now the thread has it
    await asyncio.gather(heavy, inline.insert(2))
    assert [each for each in inline.statements if each.startswith("INSERT")] == [
        "INSERT INTO number VALUES (1)",
        "INSERT INTO number VALUES (2)",
    ]


async def test_the_loop_goes_on_while_another_program_writes_and_the_thread_waits_for_it(
    inline: Writing, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "numbers.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await_commit = asyncio.ensure_future(inline.insert(1))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not await_commit.done()
    other.execute("COMMIT")
    other.close()
    await await_commit
    assert inline.committers == ["thread"]
    await inline.insert(2)
    assert inline.committers == ["thread", "loop"]


# -- the loop's own groups ---------------------------------------------------------------------------------------------


async def test_the_loop_takes_no_more_than_a_group_at_once_and_lets_others_run_between(inline: Writing) -> None:
    inserts = [asyncio.ensure_future(inline.insert(number)) for number in range(3 * GROUP_MAX)]
    committed: list[int] = []
    while not inserts[-1].done():
        committed.append(len(inline.committers))
        await asyncio.sleep(0)
    assert inline.committers == ["loop"] * 3
    assert {0, 1, 2, 3} >= set(committed) >= {1, 2}


async def test_closing_does_all_that_was_submitted(inline: Writing, tmp_path: Path) -> None:
    inserts = [asyncio.ensure_future(inline.insert(number)) for number in range(3 * GROUP_MAX)]
    await asyncio.sleep(0)
    await inline.close()
    await asyncio.gather(*inserts)
    connection = sqlite3.connect(tmp_path / "numbers.db")
    assert connection.execute("SELECT count(*) FROM number").fetchone() == (3 * GROUP_MAX,)
    connection.close()


async def test_a_caller_that_is_cancelled_does_not_take_its_work_back(inline: Writing) -> None:
    cancelled = asyncio.ensure_future(inline.insert(1))
    await asyncio.sleep(0)
    cancelled.cancel()
    await inline.insert(2)
    assert cancelled.cancelled()
    assert await inline.numbers() == [1, 2]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_in_the_middle_of_a_group_is_answered_undone_and_passed_on(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    loop = asyncio.new_event_loop()

    async def begin() -> Writing:
        return Writing(tmp_path / "numbers.db", inf)

    def run(work: Coroutine[None, None, list[BaseException | None]]) -> list[BaseException | None]:
        return loop.run_until_complete(work)

    def interrupted(_: sqlite3.Connection) -> None:
        raise interruption

    async def all_of(tasks: list[asyncio.Future[None]]) -> list[BaseException | None]:
        return await asyncio.gather(*tasks, return_exceptions=True)

    writing = loop.run_until_complete(begin())
    steps = [*map(writing.insert, range(GROUP_MAX)), writing.do(interrupted), *map(writing.insert, [900, 901])]
    tasks = [loop.create_task(step) for step in [steps[0], steps[GROUP_MAX], *steps[1:GROUP_MAX], *steps[-2:]]]
    with pytest.raises(interruption):
        run(all_of([*tasks]))
    outcomes = run(all_of([*tasks]))
    assert {type(outcome) for outcome in outcomes} == {StoreError}
    assert all(interruption.__name__ in str(outcome) for outcome in outcomes)
    with pytest.raises(StoreError, match=interruption.__name__):
        loop.run_until_complete(writing.insert(1_000))
    loop.run_until_complete(writing.close())
    loop.close()
    connection = sqlite3.connect(tmp_path / "numbers.db")
    assert connection.execute("SELECT count(*) FROM number").fetchone() == (0,)
    connection.close()


# -- the figure --------------------------------------------------------------------------------------------------------


def test_what_the_thread_measures_beside_the_disk_does_not_keep_it_at_work() -> None:
    pace = Pace(1.0)
    for milliseconds in [5.0] * 15 + [0.2]:  # the interpreter was not to be had, and once it was
        assert not pace.is_fast
        pace.threaded(milliseconds, 1)
    assert pace.is_fast


def test_a_slow_disk_stays_with_the_thread() -> None:
    pace = Pace(1.0)
    for _ in range(1_000):
        pace.threaded(1.1 + ROW_MS, 1)
    assert not pace.is_fast


def test_the_pages_of_a_large_group_are_not_taken_for_a_slow_disk() -> None:
    pace = Pace(1.0)
    for _ in range(100):
        pace.threaded(0.2 + 128 * ROW_MS, 128)
    assert pace.is_fast
    for _ in range(100):
        pace.inline(0.2 + 128 * ROW_MS, 128)
    assert pace.is_fast


@pytest.mark.parametrize(("limit", "is_fast"), [(0.0, False), (inf, True)])
def test_a_limit_of_nothing_or_of_infinity_decides_for_good(limit: float, is_fast: bool) -> None:
    pace = Pace(limit)
    for milliseconds in [0.0] * 100 + [1_000.0] * 100:
        assert pace.is_fast is is_fast
        (pace.inline if is_fast else pace.threaded)(milliseconds, 1)
