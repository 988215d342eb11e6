"""Backup, restore and doctor as processes, beside a server that runs."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.process import perdure

MACHINE = """
from perdure import assign, create_machine

machine = create_machine({"initial": "a", "context": {"n": 0}, "states": {"a": {"on": {"ADD": {
    "actions": assign(n=lambda context: context["n"] + 1)}}}}})

def allow_read(request):
    return True

def allow_write(request):
    return True
"""


async def said(*arguments: str, cwd: Path) -> tuple[int, str]:
    async with perdure(*arguments, cwd=cwd) as command:
        code = await command.wait()
        return code, command.output


@pytest.mark.slow
async def test_a_backup_of_a_running_server_brings_its_instances_back(tmp_path: Path) -> None:
    (tmp_path / "counter.py").write_text(MACHINE)
    store = ("--store", "sqlite:///app.db")
    async with perdure("dev", "counter.py", "--port", "0", *store, cwd=tmp_path) as server:
        await server.until("http://")
        await said("instances", "create", "counter", "one", cwd=tmp_path)
        await said("instances", "send", "counter", "one", "ADD", cwd=tmp_path)
        code, output = await said("backup", "copy.db", *store, cwd=tmp_path)
        assert (code, "verified" in output) == (0, True)
        await said("instances", "delete", "counter", "one", "--yes", cwd=tmp_path)
        code, output = await said("restore", "copy.db", "--force", *store, cwd=tmp_path)
        assert (code, "is in use by process" in output) == (1, True)
        code, output = await said("doctor", "--json", *store, cwd=tmp_path)
        assert (code, json.loads(output)["healthy"]) == (0, True)
        await server.end()
    code, output = await said("restore", "copy.db", "--force", *store, cwd=tmp_path)
    assert (code, "verified" in output) == (0, True)
    async with perdure("dev", "counter.py", "--port", "0", *store, cwd=tmp_path) as server:
        await server.until("http://")
        code, output = await said("instances", "inspect", "counter", "one", "--json", cwd=tmp_path)
        assert (code, json.loads(output)["context"]) == (0, {"n": 1})
        await server.end()


async def test_the_doctor_exits_with_1_over_an_error_and_says_where_it_is(tmp_path: Path) -> None:
    from perdure.stores.sqlite import SqliteStore
    from perdure.testing.store_contract.samples import commit_at, entry_at

    store = SqliteStore(tmp_path / "app.db")
    await store.open()
    await store.commit(commit_at(1, journal=[entry_at(1)]))
    await store.close()
    connection = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
    connection.execute("UPDATE instance SET snapshot = 'x'")
    connection.close()
    code, output = await said("doctor", "--store", "sqlite:///app.db", cwd=tmp_path)
    assert code == 1
    assert "person/alice" in output
    code, output = await said("doctor", "--store", "memory://", cwd=tmp_path)
    assert (code, "has no file" in output) == (1, True)
