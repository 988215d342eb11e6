"""`perdure dev`, `serve` and `watch` as real processes: starting, reloading, signals, restarts."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path

import pytest

from perdure.cli.connection import DEV_FILE, DevConnection, read_dev_connection
from perdure.cli.heap import YOUNG_OBJECTS_MAX
from tests.cli.conftest import Run
from tests.cli.process import perdure
from tests.live_server import DOOR

pytestmark = pytest.mark.slow

LIT_DOOR = DOOR.replace('"tags": ["safe"]', '"tags": ["safe", "lit"]')


@pytest.fixture
def door(tmp_path: Path) -> Path:
    path = tmp_path / "door.py"
    path.write_text(DOOR, encoding="utf-8")
    return path


def left_connection() -> DevConnection:
    connection = read_dev_connection()
    assert connection is not None
    return connection


async def test_dev_prints_all_that_is_needed_and_leaves_it_for_the_other_commands(
    door: Path, tmp_path: Path, run: Run
) -> None:
    async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as server:
        await server.until("Ready")
        left = left_connection()
        for needed in (left.url, left.org, left.key_id, left.key_secret, left.token):
            assert needed in server.output
        assert stat.S_IMODE(DEV_FILE.stat().st_mode) == 0o600
        assert run("instances", "create", "door", "front", "--json").json["state"] == "shut"
        with_token = run("instances", "get", "door", "front", "--url", left.url, "--token", left.token)
        assert with_token.exit_code == 0
        assert await server.end() == 0
    assert not DEV_FILE.exists()
    assert "Traceback" not in server.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_dev_ends_on_a_signal_and_goes_on_where_it_was(
    door: Path, tmp_path: Path, run: Run, number: signal.Signals
) -> None:
    async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as server:
        await server.until("Ready")
        run("instances", "create", "door", "front")
        run("instances", "send", "door", "front", "OPEN")
        before = left_connection()
        assert await server.end(number) == 0
    async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as server:
        await server.until("unchanged")
        await server.until("Ready")
        assert (left_connection().key_id, left_connection().key_secret) == (before.key_id, before.key_secret)
        assert run("instances", "get", "door", "front", "--json").json["state"] == "open"


async def test_dev_forgets_nothing_when_it_is_killed(door: Path, tmp_path: Path, run: Run) -> None:
    async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as server:
        await server.until("Ready")
        run("instances", "create", "door", "front")
        opened = run("instances", "send", "door", "front", "OPEN", "--json").json
        assert await server.end(signal.SIGKILL) == -signal.SIGKILL
    async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as server:
        await server.until("Ready")
        assert run("instances", "get", "door", "front", "--json").json == opened


async def test_dev_reloads_a_changed_file_for_new_instances_and_survives_broken_ones(
    door: Path, tmp_path: Path, run: Run
) -> None:
    async with perdure("dev", str(tmp_path), "--port", "0", cwd=tmp_path) as server:
        await server.until("Ready")
        run("instances", "create", "door", "old")
        door.write_text(DOOR + "\ndef broken(:\n", encoding="utf-8")
        assert f"{door}:{DOOR.count(chr(10)) + 2}" in await server.until("error:")
        door.write_text(DOOR.replace('"SHUT": "shut"', '"SHUT": "shutt"'), encoding="utf-8")
        line = DOOR[: DOOR.index("machine = ")].count("\n") + 1
        assert f"{door}:{line}: " in await server.until("1 defect")
        await server.until("Did you mean 'shut'")
        assert run("instances", "create", "door", "meanwhile", "--json").json["tags"] == ["safe"]
        door.write_text(LIT_DOOR, encoding="utf-8")
        await server.until("new version")
        assert run("instances", "create", "door", "new", "--json").json["tags"] == ["safe", "lit"]
        assert run("instances", "get", "door", "old", "--json").json["tags"] == ["safe"]


async def test_dev_starts_with_a_broken_file_and_serves_it_once_it_is_mended(
    door: Path, tmp_path: Path, run: Run
) -> None:
    door.write_text("machine = 1 / 0\n", encoding="utf-8")
    async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as server:
        await server.until("ZeroDivisionError")
        await server.until("Ready")
        door.write_text(DOOR, encoding="utf-8")
        await server.until("new version")
        assert run("instances", "create", "door", "front", "--json").json["state"] == "shut"


async def test_two_servers_do_not_share_a_database(door: Path, tmp_path: Path) -> None:
    async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as first:
        await first.until("Ready")
        async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as second:
            assert await second.wait() == 1
            assert "in use by process" in second.output
            assert "Traceback" not in second.output


async def test_a_port_that_is_taken_is_an_error_that_says_so(door: Path, tmp_path: Path) -> None:
    async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as first:
        await first.until("Ready")
        port = left_connection().url.rpartition(":")[2]
        async with perdure("dev", str(door), "--port", port, "--store", "memory://", cwd=tmp_path) as second:
            assert await second.wait() == 1
            assert "--port" in second.output


async def test_watch_follows_an_instance_and_ends_cleanly_on_ctrl_c(door: Path, tmp_path: Path, run: Run) -> None:
    async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as server:
        await server.until("Ready")
        run("instances", "create", "door", "front")
        async with perdure("instances", "watch", "door", "front", "--json", cwd=tmp_path) as watching:
            assert json.loads(await watching.until("shut"))["publicContext"] == {"opened": 0}
            run("instances", "send", "door", "front", "OPEN")
            assert json.loads(await watching.until("open"))["publicContext"] == {"opened": 1}
            assert await watching.end(signal.SIGINT) == 0
            assert len(watching.output.splitlines()) == 2


async def test_watch_goes_on_after_the_server_has_been_killed_and_started_again(
    door: Path, tmp_path: Path, run: Run
) -> None:
    async with perdure("dev", str(door), "--port", "0", cwd=tmp_path) as server:
        await server.until("Ready")
        port = left_connection().url.rpartition(":")[2]
        run("instances", "create", "door", "front")
        async with perdure("instances", "watch", "door", "front", "--json", cwd=tmp_path) as watching:
            await watching.until("shut")
            await server.end(signal.SIGKILL)
            async with perdure("dev", str(door), "--port", port, cwd=tmp_path) as again:
                await again.until("Ready")
                run("instances", "send", "door", "front", "OPEN")
                assert json.loads(await watching.until('"open"'))["publicContext"] == {"opened": 1}


async def test_serve_serves_a_store_with_its_first_key_and_machines_from_files(
    door: Path, tmp_path: Path, run: Run
) -> None:
    store, master = f"sqlite:///{tmp_path}/x.db", {"PERDURE_MASTER_KEY": "m" * 40}
    key = run("keys", "create", "admin", "--store", store, "--json", **master).json
    arguments = ("serve", "--store", store, "--port", "0", "--machines", str(door))
    async with perdure(*arguments, cwd=tmp_path, **master) as server:
        await server.until("deployed")
        url = (await server.until("serves")).split()[-1]
        connection = {"PERDURE_URL": url, "PERDURE_KEY_ID": key["id"], "PERDURE_KEY_SECRET": key["key"]}
        assert run("instances", "create", "door", "front", "--json", **connection).json["state"] == "shut"
        refused = run("machines", "deploy", str(door), **connection)
        assert refused.exit_code == 1
        assert "code" in refused.stderr
        assert await server.end() == 0
    assert '"path": "/machines/door"' in server.output
    assert "Traceback" not in server.output


async def test_serve_takes_code_over_the_network_only_when_it_is_told_to(door: Path, tmp_path: Path, run: Run) -> None:
    store, master = f"sqlite:///{tmp_path}/x.db", {"PERDURE_MASTER_KEY": "m" * 40}
    key = run("keys", "create", "ci", "--use", "ci", "--store", store, "--json", **master).json
    arguments = ("serve", "--store", store, "--port", "0", "--allow-code-upload")
    async with perdure(*arguments, cwd=tmp_path, **master) as server:
        url = (await server.until("serves")).split()[-1]
        connection = {"PERDURE_URL": url, "PERDURE_KEY_ID": key["id"], "PERDURE_KEY_SECRET": key["key"]}
        assert run("machines", "deploy", str(door), **connection).exit_code == 0


async def test_a_serving_process_answers_what_is_in_flight_before_it_ends(tmp_path: Path, run: Run) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW, encoding="utf-8")
    async with perdure("dev", str(slow), "--port", "0", cwd=tmp_path) as server:
        await server.until("Ready")
        async with perdure("instances", "create", "slow", "a", "--json", cwd=tmp_path) as creating:
            await server.until("the service has started")
            ended = await server.end()
            assert await creating.wait() == 0
            assert json.loads(creating.output)["state"] == "rested"
        assert ended == 0


async def test_a_request_that_waits_longer_than_the_end_of_a_server_is_answered_with_the_state_reached(
    tmp_path: Path, run: Run
) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW.replace("sleep(0.5)", "sleep(80)"), encoding="utf-8")
    async with perdure("dev", str(slow), "--port", "0", cwd=tmp_path) as server:
        await server.until("Ready")
        async with perdure("instances", "create", "slow", "a", "--json", cwd=tmp_path) as creating:
            await server.until("the service has started")
            ended = await server.end(signal.SIGINT)
            assert await creating.wait() == 0
            assert json.loads(creating.output)["state"] == "resting"
        assert ended == 0
    assert "Traceback" not in server.output


async def test_a_server_collects_garbage_as_suits_a_server(tmp_path: Path, run: Run) -> None:
    heap = tmp_path / "heap.py"
    heap.write_text(HEAP, encoding="utf-8")
    async with perdure("dev", str(heap), "--port", "0", cwd=tmp_path) as server:
        await server.until("Ready")
        seen = run("instances", "create", "heap", "a", "--json").json["publicContext"]
        assert await server.end() == 0
    assert seen["frozen"] > 10_000
    assert seen["young"] == YOUNG_OBJECTS_MAX


HEAP = """
import gc

from perdure import assign, create_machine


def look(context, event):
    return {"frozen": gc.get_freeze_count(), "young": gc.get_threshold()[0]}


machine = create_machine({"id": "heap", "context": {}, "entry": assign({"public": look})})


def allow_read(request):
    return True


def allow_write(request):
    return True
"""

SLOW = """
import asyncio

from perdure import create_machine


async def rest(context, event):
    print("the service has started", flush=True)
    await asyncio.sleep(0.5)


machine = create_machine(
    {
        "id": "slow",
        "initial": "resting",
        "states": {"resting": {"invoke": {"src": "rest", "onDone": "rested"}}, "rested": {}},
    },
    services={"rest": rest},
)


def allow_read(request):
    return True


def allow_write(request):
    return True
"""
