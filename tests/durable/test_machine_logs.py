"""What machine code prints and logs becomes entries of its instance, and nothing else does."""

# ruff: noqa: T201 - to print is what this is about

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perdure import Runtime, assign, log
from perdure.durable.machine_logs import ENTRIES_PER_PAGE, ENTRY_CHARACTERS_MAX
from perdure.durable.upkeep_records import LogEntry
from perdure.errors import AuthorizerRefused, EventFailed, StoreError
from tests.durable.versions import migrate, register
from tests.durable.world import ORG, FaultyWorld, OpenStore, World, at, memory_store, sqlite_store

ROOT = Path(__file__).parents[2]

code_log = logging.getLogger("tests.code_of_a_machine")

TALKATIVE = {
    "initial": "idle",
    "states": {
        "idle": {
            "on": {
                "GUARD": {"cond": "guard", "actions": []},
                "ASSIGN": {"actions": "assigner"},
                "ACT": {"actions": "action"},
                "ACT_LATER": {"actions": "coroutine"},
                "RAISE": {"actions": "raising"},
                "RAISE_LATER": {"actions": "raising_coroutine"},
                "BREAK": {"cond": "broken"},
                "LOG": {"actions": log(lambda context, event: event["what"], "label")},
                "SERVE": "serving",
                "THREAD": "threading",
                "FAIL": "failing",
                "FAIL_IN_A_THREAD": "failing_in_a_thread",
                "WAIT": "waiting",
            }
        },
        "serving": {"invoke": {"id": "s", "src": "service", "onDone": "idle"}},
        "threading": {"invoke": {"id": "t", "src": "thread", "onDone": "idle"}},
        "failing": {"invoke": {"id": "f", "src": "failing_service", "onError": "idle"}},
        "failing_in_a_thread": {"invoke": {"id": "f", "src": "failing_thread", "onError": "idle"}},
        "waiting": {"invoke": {"id": "w", "src": "endless"}, "after": {"1000": "idle"}},
    },
}


def talkative(world: World) -> None:
    def guard(context: Any) -> bool:
        print("in a guard")
        return True

    def assigner(context: Any) -> dict[str, Any]:
        print("in an assigner", file=sys.stderr)
        return {"x": 1}

    def action(context: Any) -> None:
        code_log.warning("in %s action", "an")

    async def coroutine(context: Any) -> None:
        print("before")
        await asyncio.sleep(0)
        print("after")

    def raising(context: Any) -> None:
        raise ValueError("the reason")

    async def raising_coroutine(context: Any) -> None:
        raise ValueError("the later reason")

    def broken(context: Any) -> bool:
        raise ValueError("the broken guard")

    async def service(context: Any) -> None:
        await asyncio.sleep(0)
        print("in a service")

    def thread(context: Any) -> None:
        print("in a thread", threading.current_thread() is threading.main_thread())

    async def failing_service(context: Any) -> None:
        await asyncio.sleep(0)
        raise ValueError("the service's reason")

    def failing_thread(context: Any) -> None:
        raise ValueError("the thread's reason")

    async def endless(context: Any) -> None:
        await asyncio.Event().wait()

    def allow_write(request: Any) -> bool:
        print("may", request.auth_context["sub"], "write?")
        return bool(request.auth_context["sub"] != "stranger")

    world.machine(
        "talkative",
        TALKATIVE,
        allow_write=allow_write,
        guards={"guard": guard, "broken": broken},
        actions={
            "assigner": assign(assigner),
            "action": action,
            "coroutine": coroutine,
            "raising": raising,
            "raising_coroutine": raising_coroutine,
        },
        services={
            "service": service,
            "thread": thread,
            "failing_service": failing_service,
            "failing_thread": failing_thread,
            "endless": endless,
        },
    )


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Any) -> OpenStore:
    return memory_store() if request.param == "memory" else sqlite_store(tmp_path / "perdure.db")


@pytest.fixture
def world(open_store: OpenStore) -> World:
    world = World(open_store)
    talkative(world)
    return world


async def entries(world: World, runtime: Runtime, since: float = 0.0) -> list[LogEntry]:
    """All entries, once the present millisecond is over."""
    await world.clock.advance(1)
    return (await runtime.machine_logs.read(ORG, since=since)).entries


@pytest.mark.parametrize(
    ("event", "output_type", "text"),
    [
        ("GUARD", "stdout", "in a guard\n"),
        ("ASSIGN", "stderr", "in an assigner\n"),
        ("ACT", "stderr", "WARNING:tests.code_of_a_machine:in an action\n"),
        ("ACT_LATER", "stdout", "before\nafter\n"),
        ("SERVE", "stdout", "in a service\n"),
        ("THREAD", "stdout", "in a thread False\n"),
    ],
)
async def test_what_machine_code_says_is_an_entry_of_its_instance(
    world: World, event: str, output_type: str, text: str
) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"))
        began = world.clock.now()
        await runtime.send(at("talkative"), event)
        version = (await runtime.inspect(at("talkative"))).version_id
        (entry,) = await entries(world, runtime)
        assert entry == LogEntry(
            org=ORG,
            machine="talkative",
            instance="one",
            version_id=version,
            at=began,
            output_type=output_type,  # type: ignore[arg-type]  # one of the two
            text=text,
        )


async def test_no_entry_has_words_of_two_turns(world: World) -> None:
    def mutter(context: Any) -> bool:
        print("a line without an end", end="")
        return True

    on = {"SAY": {"actions": lambda: print("said")}, "MUTTER": {"cond": mutter, "actions": []}}
    world.machine("brief", {"initial": "a", "states": {"a": {"on": on}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("brief"))
        for event in ("SAY", "SAY", "MUTTER", "SAY"):
            await runtime.send(at("brief"), event)
        texts = [entry.text for entry in await entries(world, runtime)]
        assert texts == ["said\n", "said\n", "a line without an end", "said\n"]


async def test_the_log_action_is_an_entry_with_its_label(world: World) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"))
        await runtime.send(at("talkative"), {"type": "LOG", "what": {"a": [1]}})
        await world.clock.advance(1)
        await runtime.send(at("talkative"), {"type": "LOG", "what": "plain text"})
        assert [(entry.output_type, entry.text) for entry in await entries(world, runtime)] == [
            ("stdout", 'label: {"a":[1]}\n'),
            ("stdout", "label: plain text\n"),
        ]


async def test_what_machine_code_raises_is_an_entry_with_its_traceback(world: World) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"))
        for event, reason in (("RAISE", "the reason"), ("RAISE_LATER", "the later reason")):
            since = world.clock.now()
            await runtime.send(at("talkative"), event)
            (entry,) = await entries(world, runtime, since)
            assert entry.output_type == "stderr"
            assert entry.text.startswith("Traceback")
            assert entry.text.endswith(f"ValueError: {reason}\n")
        since = world.clock.now()
        with pytest.raises(EventFailed):
            await runtime.send(at("talkative"), "BREAK")
        (entry,) = await entries(world, runtime, since)
        assert entry.text.endswith("ValueError: the broken guard\n")


@pytest.mark.parametrize(
    ("event", "reason"), [("FAIL", "the service's reason"), ("FAIL_IN_A_THREAD", "the thread's reason")]
)
async def test_what_a_service_raises_is_an_entry_with_its_traceback(world: World, event: str, reason: str) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"))
        await runtime.send(at("talkative"), event)
        (entry,) = await entries(world, runtime)
        assert (entry.instance, entry.output_type) == ("one", "stderr")
        assert entry.text.startswith("Traceback")
        assert entry.text.endswith(f"ValueError: {reason}\n")


async def test_a_service_that_is_stopped_has_raised_nothing(world: World) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"))
        answer = asyncio.ensure_future(runtime.send(at("talkative"), "WAIT"))
        await world.clock.advance(1_000)
        assert (await answer).state == "idle"
        assert await entries(world, runtime) == []


async def test_authorisers_are_heard_also_when_they_refuse(world: World) -> None:
    world.definitions["talkative"] = msgspec.structs.replace(
        world.definitions["talkative"], allow_read=lambda request: print("may read?") is None
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"), auth_context={"sub": "alice"})
        await world.clock.advance(1)
        with pytest.raises(AuthorizerRefused):
            await runtime.send(at("talkative"), "GUARD", auth_context={"sub": "stranger"})
        await world.clock.advance(1)
        await runtime.read(at("talkative"), auth_context={"sub": "alice"})
        found = await entries(world, runtime)
        assert [entry.text for entry in found] == ["may alice write?\n", "may stranger write?\n", "may read?\n"]
        assert {entry.instance for entry in found} == {"one"}


async def test_instances_that_speak_at_once_are_kept_apart(world: World) -> None:
    async with world.running() as runtime:
        names = [f"n{number}" for number in range(20)]
        await asyncio.gather(*(runtime.create_instance(at("talkative", name)) for name in names))
        await asyncio.gather(*(runtime.send(at("talkative", name), "SERVE") for name in names))
        await asyncio.gather(*(runtime.send(at("talkative", name), "THREAD") for name in names))
        found = await entries(world, runtime)
        for name in names:
            said = "".join(entry.text for entry in found if entry.instance == name)
            assert said == "in a service\nin a thread False\n", name


async def test_what_the_host_application_says_is_nobodys_entry(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"))
        print("of the application")
        code_log.warning("of the application")
        await runtime.send(at("talkative"), "GUARD")
        print("of the application")
        assert [entry.text for entry in await entries(world, runtime)] == ["in a guard\n"]
    assert capsys.readouterr().out == "of the application\nin a guard\nof the application\n"


async def test_perdures_own_log_is_nobodys_entry(world: World) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"))
        handler = logging.StreamHandler(sys.stderr)  # by now a stream that listens
        logger = logging.getLogger("perdure")
        logger.addHandler(handler)
        try:
            await runtime.send(at("talkative"), "RAISE")  # "action raised" is logged
        finally:
            logger.removeHandler(handler)
        (entry,) = await entries(world, runtime)
        assert entry.text.startswith("Traceback")


async def test_a_record_is_one_entry_though_a_handler_writes_it_to_a_stream(world: World) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"))
        handler = logging.StreamHandler(sys.stderr)
        code_log.addHandler(handler)
        try:
            await runtime.send(at("talkative"), "ACT")
        finally:
            code_log.removeHandler(handler)
        assert "".join(entry.text for entry in await entries(world, runtime)).count("in an action") == 1


NESTED = """
import asyncio, logging, sys
from tests.durable.world import World, memory_store

async def main():
    before = (sys.stdout, sys.stderr, logging.getLogRecordFactory())
    async with World(memory_store()).running():
        assert sys.stdout is not before[0]
        assert sys.stdout.encoding == before[0].encoding
        async with World(memory_store()).running():
            pass
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr, logging.getLogRecordFactory()) == before
    print("as before")

asyncio.run(main())
"""


def test_streams_and_records_are_as_before_once_the_last_runtime_is_closed() -> None:
    # In a process of its own: runtimes of other tests may be open in this one.
    command = [sys.executable, "-c", NESTED]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert (ran.stdout, ran.stderr) == ("as before\n", "")


async def test_logging_can_be_configured_while_a_runtime_is_open(world: World) -> None:
    root_handlers = list(logging.getLogger().handlers)
    async with world.running():
        assert logging.getLogger().handlers == root_handlers


async def test_an_instance_of_each_of_two_runtimes_is_heard_by_its_own(world: World) -> None:
    other = World(memory_store())
    talkative(other)
    async with world.running() as first, other.running() as second:
        await first.create_instance(at("talkative", "first"))
        await second.create_instance(at("talkative", "second"))
        await first.send(at("talkative", "first"), "GUARD")
        await second.send(at("talkative", "second"), "SERVE")
        assert [(entry.instance, entry.text) for entry in await entries(world, first)] == [("first", "in a guard\n")]
        assert [(entry.instance, entry.text) for entry in await entries(other, second)] == [
            ("second", "in a service\n")
        ]


async def test_entries_are_written_by_themselves_and_when_the_runtime_closes(world: World) -> None:
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"))
        await runtime.send(at("talkative"), "GUARD")
        assert await runtime.store.logs(ORG, since=0, until=1e15, limit=9) == []
        await world.clock.advance(runtime.settings.log_flush_interval)
        written: list[LogEntry] = []
        async with asyncio.timeout(30):
            while not written:
                written = await runtime.store.logs(ORG, since=0, until=1e15, limit=9)
        assert [entry.text for entry in written] == ["in a guard\n"]
        await runtime.send(at("talkative"), "ASSIGN")
    async with world.running() as runtime:
        texts = [entry.text for entry in await entries(world, runtime)]
        assert texts == ["in a guard\n", "in an assigner\n"]


async def test_nothing_of_a_deleted_instance_is_written(world: World) -> None:
    async def last_words(context: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            print("last words")

    world.machine(
        "leaving",
        {"initial": "on", "states": {"on": {"invoke": {"src": "service"}, "on": {"HI": {"actions": "speak"}}}}},
        services={"service": last_words},
        actions={"speak": lambda context: print("hi")},
    )
    world.settings = msgspec.structs.replace(world.settings, processing_timeout=50.0)
    async with world.running() as runtime:
        creating = asyncio.ensure_future(runtime.create_instance(at("leaving")))
        sending = asyncio.ensure_future(runtime.send(at("leaving"), "HI"))
        async with asyncio.timeout(30):
            while not runtime.running_children:  # noqa: ASYNC110 - nobody signals it
                await asyncio.sleep(0)
        await runtime.delete_instance(at("leaving"))
        await asyncio.gather(creating, sending, return_exceptions=True)
        await runtime.idle()
        assert await entries(world, runtime) == []
    async with world.running() as runtime:
        assert await entries(world, runtime) == []


async def test_what_is_too_much_is_dropped_oldest_first_and_counted(world: World) -> None:
    world.settings = msgspec.structs.replace(world.settings, log_buffer_max=1_000)
    async with world.running() as runtime:
        output = runtime.machine_logs.output_of(at("talkative"))
        output.begin("ver_1")
        for number in range(10):
            output.heard("stdout", f"{number}\n")
            output.heard("stderr", f"{number}\n")
        found = await entries(world, runtime)
        assert [entry.text for entry in found] == [
            "8\n",
            "8\n",
            "9\n",
            "9\n",
        ]
        found = await entries(world, runtime, found[-1].at + 1)
        assert [entry.text for entry in found] == ["[perdure] dropped before they were written: 16\n"]
        assert {entry.version_id for entry in found} == {"ver_1"}


async def test_a_very_long_text_is_divided_and_a_line_without_end_is_shown(world: World) -> None:
    async with world.running() as runtime:
        output = runtime.machine_logs.output_of(at("talkative"))
        output.heard("stdout", "x" * (2 * ENTRY_CHARACTERS_MAX + 5))
        output.heard("stdout", "y")
        assert [len(entry.text) for entry in await entries(world, runtime)] == [
            ENTRY_CHARACTERS_MAX,
            ENTRY_CHARACTERS_MAX,
            6,
        ]


async def test_text_that_is_no_unicode_is_kept_readable(world: World) -> None:
    async with world.running() as runtime:
        runtime.machine_logs.output_of(at("talkative")).heard("stdout", "half \ud800 é\n")
        assert [entry.text for entry in await entries(world, runtime)] == ["half \\ud800 é\n"]


async def test_entries_outlast_a_store_that_fails_for_a_moment() -> None:
    world = FaultyWorld()
    talkative(world)
    async with world.running() as runtime:
        await runtime.create_instance(at("talkative"))
        await runtime.send(at("talkative"), "GUARD")
        await world.clock.advance(1)
        world.faults.fail("append_logs")
        with pytest.raises(StoreError):
            await runtime.machine_logs.read(ORG, since=0.0)
        assert [entry.text for entry in await entries(world, runtime)] == ["in a guard\n"]


# -- reading -----------------------------------------------------------------------------------------------------------


def said(moment: float, text: str = "x\n") -> LogEntry:
    return LogEntry(
        org=ORG,
        machine="talkative",
        instance="one",
        version_id="ver_1",
        at=moment,
        output_type="stdout",
        text=text,
    )


async def test_the_present_millisecond_is_shown_once_it_is_over(world: World) -> None:
    async with world.running() as runtime:
        await runtime.store.append_logs([said(world.clock.now())])
        page = await runtime.machine_logs.read(ORG, since=0.0)
        assert (page.entries, page.next) == ([], None)
        await world.clock.advance(1)
        page = await runtime.machine_logs.read(ORG, since=0.0)
        assert (len(page.entries), page.next) == (1, world.clock.now())


async def test_a_page_ends_between_two_milliseconds(world: World) -> None:
    async with world.running() as runtime:
        await runtime.store.append_logs([said(float(number // 3)) for number in range(ENTRIES_PER_PAGE + 50)])
        first = await runtime.machine_logs.read(ORG, since=0.0)
        assert (len(first.entries), first.next) == (99, 33.0)
        second = await runtime.machine_logs.read(ORG, since=33.0)
        assert (len(second.entries), second.next) == (51, 50.0)


async def test_a_millisecond_with_more_than_a_page_is_one_answer(world: World) -> None:
    async with world.running() as runtime:
        await runtime.store.append_logs([said(7.0) for _ in range(ENTRIES_PER_PAGE + 50)])
        await runtime.store.append_logs([said(8.0)])
        page = await runtime.machine_logs.read(ORG, since=0.0)
        assert (len(page.entries), page.next) == (ENTRIES_PER_PAGE + 50, 8.0)


async def test_a_page_that_reaches_its_end_says_so(world: World) -> None:
    async with world.running() as runtime:
        await runtime.store.append_logs([said(7.0), said(9.0)])
        page = await runtime.machine_logs.read(ORG, since=0.0, until=9.0)
        assert ([entry.at for entry in page.entries], page.next) == ([7.0], 9.0)
        later = world.clock.now() + 1_000
        page = await runtime.machine_logs.read(ORG, since=0.0, until=later)
        assert ([entry.at for entry in page.entries], page.next) == ([7.0, 9.0], 10.0)


async def test_a_migration_speaks_for_the_version_it_leads_to(world: World) -> None:
    def moved(path: list[str], context: Any) -> list[str]:
        print("moving")
        return path

    config: dict[str, Any] = {"initial": "on", "states": {"on": {"on": {"HI": {}}}}}
    async with world.running() as runtime:
        await register(runtime, "1", config)
        await runtime.create_instance(at("order"))
        second = await register(runtime, "2", config)
        await migrate(runtime, "1", "2", state=moved)
        await runtime.upgrades.set_desired_version(at("order"), second.id)
        await runtime.send(at("order"), "HI")
        found = await entries(world, runtime)
        assert [(entry.text, entry.version_id) for entry in found] == [("moving\n", second.id)]
