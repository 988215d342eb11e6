"""Records a database as today's code writes it, so that every later release can be held to opening it.

It writes two files, named for the schema version: the database as SQL, and what its store answers about it as JSON.
It is run once for each schema version, by whoever is about to add the next one, and its files are never written
again::

    python -m tests.recordings.record

Clock and ids are simulated, so that running it twice writes the same bytes. It uses of perdure only what the first
schema's release had, and what each later one has brought only with that (``newer_rows``): to record an older release,
run it with that one on ``PYTHONPATH``. Versions 2 to 8 were made so, each by the last commit before the next schema::

    git archive COMMIT src | tar x -C OLDER
    PYTHONPATH=OLDER/src:. python -m tests.recordings.record
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from perdure import Address, Runtime, RuntimeSettings
from perdure.durable.records import KeyRecord, OrgRecord, UploadRecord
from perdure.durable.store import Store
from perdure.hosts.in_process import InProcessHost
from perdure.stores.sqlite import SqliteStore
from perdure.testing.simulated_clock import CountingEntropy, SimulatedClock
from tests.recordings.newer_rows import fill_newer, newer_answers

__all__ = ["BELL", "CLAPPER", "FOLDER", "PAUSED", "answers", "record"]

FOLDER = Path(__file__).parent
ORG = "org_recorded"
BELLS, CLAPPERS, REFUSED = "bells", "clapper", "refused"
BELL = Address(ORG, BELLS, "bell")
PAUSED = Address(ORG, BELLS, "paused")
CLAPPER = Address(ORG, CLAPPERS, "clapper")

BELLS_SOURCE = """
from perdure import assign, create_machine, send, send_to, spawn_persistent

REFUSED = {"type": "statebacked.instance", "id": "x", "machineName": "refused", "machineInstanceName": "one"}

machine = create_machine({
    "id": "bells",
    "initial": "still",
    "context": {"rung": 0, "public": {"note": "\\u266b"}},
    "states": {
        "still": {
            "on": {
                "RING": {
                    "target": "ringing",
                    "actions": [
                        assign(rung=lambda context: context["rung"] + 1),
                        send("ECHO", delay=5_000, id="echo"),
                    ],
                },
                "HANG": {"actions": assign(clapper=lambda: spawn_persistent("clapper", name="clapper"))},
                "ANNOY": {"actions": send_to(lambda: REFUSED, {"type": "KNOCK", "times": 3})},
            },
        },
        "ringing": {"after": {"60000": "still"}, "on": {"ECHO": {"actions": assign(echo=True)}}},
    },
})

def allow_read(request):
    return True

def allow_write(request):
    return True
"""

CLAPPER_SOURCE = BELLS_SOURCE.replace('"id": "bells"', '"id": "clapper"')
REFUSED_SOURCE = BELLS_SOURCE.replace('"id": "bells"', '"id": "refused"').replace(
    "def allow_write(request):\n    return True", "def allow_write(request):\n    return request.sender is None"
)


async def fill(path: Path) -> dict[str, Any]:
    """Write rows into every table; the answers of the store that wrote them."""
    clock, store = SimulatedClock(), SqliteStore(path)
    await store.open()
    await store.create_org(OrgRecord(id=ORG, name="recorded", created_at=clock.now()))
    await store.create_key(
        KeyRecord(
            id="sbk_recorded",
            org=ORG,
            name="recorded",
            scopes=("events.write",),
            sealed_secret=bytes(range(256)),
            created_at=clock.now(),
        )
    )
    settings = RuntimeSettings(closing_grace=0, mail_attempts=1)
    runtime = Runtime(store, InProcessHost(), clock=clock, entropy=CountingEntropy(), settings=settings)
    async with runtime:
        for machine, source in ((BELLS, BELLS_SOURCE), (CLAPPERS, CLAPPER_SOURCE), (REFUSED, REFUSED_SOURCE)):
            await runtime.create_machine(ORG, machine)
            await runtime.deploy(ORG, machine, source, file_name=f"{machine}.py", client_info="recorded")
        await store.create_upload(
            UploadRecord(id="upload-1", org=ORG, machine=BELLS, created_at=1.0, gzip=True, version_id="ver_later")
        )
        await store.fill_upload("upload-1", b"\x1f\x8b code", "bells.py")
        await runtime.create_instance(Address(ORG, REFUSED, "one"))
        await runtime.create_instance(PAUSED)
        await runtime.set_status(PAUSED, "paused")
        await runtime.create_instance(BELL)
        for event in ("HANG", "ANNOY", "RING"):
            await runtime.send(BELL, event)
        await runtime.idle()
        await fill_newer(schema_version(path), store, runtime, BELLS_SOURCE)
        return await answers(store)


async def answers(store: Store) -> dict[str, Any]:
    """All that a store says of the recorded rows, as JSON has it."""
    instances = [BELL, PAUSED, CLAPPER, Address(ORG, REFUSED, "one")]
    said: dict[str, Any] = {
        "orgs": (await store.list_orgs(cursor=None, limit=9)).rows,
        "keys": (await store.list_keys(ORG, cursor=None, limit=9)).rows,
        "machines": (await store.list_machines(ORG, cursor=None, limit=9)).rows,
        "upload": await store.upload("upload-1"),
        "dead letters": (await store.list_dead_letters(ORG, cursor=None, limit=9)).rows,
        "next mail at": await store.next_mail_at(0.0),
    }
    for machine in (BELLS, CLAPPERS, REFUSED):
        said[f"versions of {machine}"] = (await store.list_versions(ORG, machine, cursor=None, limit=9)).rows
        said[f"instances of {machine}"] = (await store.list_instances(ORG, machine, cursor=None, limit=9)).rows
    for address in instances:
        said[f"{address}"] = await store.load(address)
        said[f"journal of {address}"] = (await store.journal(address, cursor=None, limit=99)).rows
        said[f"mail to {address}"] = await store.pending_mail(address)
    said |= await newer_answers(store)
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(said))
    return plain


def schema_version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as database:
        (version,) = database.execute("SELECT max(version) FROM schema_version").fetchone()
    assert isinstance(version, int)
    return version


def record(folder: Path = FOLDER) -> Path:
    """Record a database of today's schema; its file of SQL."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "perdure.db"
        said = asyncio.run(fill(path))
        database = sqlite3.connect(path)
        version = schema_version(path)
        (application_id,) = database.execute("PRAGMA application_id").fetchone()
        dump = "\n".join(database.iterdump())
        database.close()
    target = folder / f"schema_{version:04}.sql"
    target.write_text(f"PRAGMA application_id = {application_id};\n{dump}\n", encoding="utf-8")
    text = msgspec.json.format(msgspec.json.encode(said), indent=2).decode()
    target.with_suffix(".json").write_text(f"{text}\n", encoding="utf-8")
    return target


if __name__ == "__main__":
    record()
