"""The pytest plugin: its fixtures are there without anything to set up, with and without asyncio's auto mode."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from perdure.testing import pytest_plugin
from tests.documents.snippets import ROOT

DURABLE = """
import pytest
from perdure import DEFAULT_ORG, Definition, address, create_machine, persistent

{mark}

lamp = create_machine({{
    "id": "lamp", "initial": "on",
    "states": {{
        "on": {{"after": {{"60000": "warm"}}}}, "warm": {{"after": {{"60000": "off"}}}}, "off": {{"type": "final"}},
    }},
}})
room = create_machine({{
    "id": "room", "initial": "lit",
    "states": {{"lit": {{"invoke": {{"id": "lamp", "src": persistent("lamp"), "onDone": "dark"}}}}, "dark": {{}}}},
}})

def anybody(request):
    return True

async def test_a_minute_passes_for_a_parent_and_its_child(runtime, clock):
    for machine in (lamp, room):
        definition = Definition(machine=machine, allow_read=anybody, allow_write=anybody)
        await runtime.register(DEFAULT_ORG, machine.id, definition)
    state = await runtime.create_instance(address("room", "one"))
    assert state.state == "lit"
    await clock.advance(119_999)
    assert (await runtime.read(address("room", "one"))).state == "lit"
    await clock.advance(1)
    assert (await runtime.read(address("room", "one"))).state == "dark"

async def test_ids_are_the_same_in_every_run(runtime):
    assert runtime.fresh_name().endswith("000000000001")
"""

MEMORY = """
from perdure import create_machine

lamp = create_machine({
    "id": "lamp", "initial": "on", "states": {"on": {"after": {"60000": "off"}}, "off": {}},
})

def test_time_passes_in_memory_without_an_event_loop(actor_system, clock):
    actor = actor_system(lamp)
    clock.advance(59_999)
    assert actor.snapshot.value == "on"
    clock.advance(1)
    assert actor.snapshot.value == "off"
"""


SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")
"""What older releases of pytest-asyncio warn about where it is not said."""


def run(folder: Path, *arguments: str, **files: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder of its own, with our plugin as if it had been found by its entry point."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    ours = ("-p", "no:perdure", "-p", "perdure.testing.pytest_plugin", "-p", "no:cacheprovider")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *ours, "-q", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize(
    ("mode", "mark"), [("auto", ""), ("strict", "pytestmark = pytest.mark.asyncio")], ids=["auto", "strict"]
)
def test_a_whole_runtime_is_driven_by_the_clock_in_each_mode_of_asyncio(tmp_path: Path, mode: str, mark: str) -> None:
    ran = run(tmp_path, "-o", f"asyncio_mode={mode}", *SCOPE, "-W", "error", durable=DURABLE.format(mark=mark))
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr


def test_actors_in_memory_need_no_event_loop_and_no_other_plugin(tmp_path: Path) -> None:
    ran = run(tmp_path, "-p", "no:asyncio", "-W", "error", memory=MEMORY)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_package_announces_the_plugin_to_pytest() -> None:
    announced = '[project.entry-points.pytest11]\nperdure = "perdure.testing.pytest_plugin"\n'
    assert announced in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    entry = EntryPoint("perdure", "perdure.testing.pytest_plugin", "pytest11")
    assert entry.load() is pytest_plugin
