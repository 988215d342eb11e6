"""Migrations, upgrades and indexes on the command line, against a whole server."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.conftest import Run
from tests.cli.process import perdure
from tests.live_server import DOOR, LiveServer

GATE = DOOR.replace('"shut"', '"locked"').replace('"open": {"on"', '"ajar": {"on"').replace('"open"', '"ajar"')

MIGRATION = """
def upgrade_state(path, context):
    if path == ["open"] and context["public"]["opened"] > 1:
        raise ValueError("its hinges are worn")
    return {"shut": ["locked"], "open": ["ajar"]}.get(path[0], path)
"""
MENDED = MIGRATION.replace("> 1", "> 99")


class Doors(NamedTuple):
    """A machine of its own, and the ids of its two versions."""

    machine: str
    old: str
    new: str


@pytest.fixture
def doors(ask: Run, tmp_path: Path, request: pytest.FixtureRequest) -> Doors:
    """Three doors of the old version: one shut, one open, and one open that breaks. The new version is current."""
    machine = str(request.node.name)[:100].replace("[", "-").replace("]", "")
    old, new = tmp_path / "old.py", tmp_path / "new.py"
    old.write_text(DOOR, encoding="utf-8")
    new.write_text(GATE, encoding="utf-8")
    options = ("--name", machine, "--index", "secret=$.secret", "--json")
    first = ask("machines", "deploy", str(old), *options).json["machineVersionId"]
    for instance in ("attic", "bath", "cellar"):
        ask("instances", "create", machine, instance)
    for instance, event in (("bath", "OPEN"), ("cellar", "OPEN"), ("cellar", "SHUT"), ("cellar", "OPEN")):
        ask("instances", "send", machine, instance, event)
    second = ask("machines", "deploy", str(new), "--name", machine, "--json").json["machineVersionId"]
    return Doors(machine, first, second)


def migrate(ask: Run, doors: Doors, tmp_path: Path, source: str = MIGRATION) -> str:
    file = tmp_path / "door_1_to_2.py"
    file.write_text(source, encoding="utf-8")
    ran = ask("migrations", "create", doors.machine, str(file), "--from", doors.old, "--to", "current", "--json")
    assert ran.exit_code == 0, ran.stderr
    migration: str = ran.json["machineVersionMigrationId"]
    return migration


def test_a_migration_is_created_and_listed(ask: Run, doors: Doors, tmp_path: Path) -> None:
    migration = migrate(ask, doors, tmp_path)
    (listed,) = ask("migrations", "list", doors.machine, "--json").json
    assert (listed["id"], listed["fromMachineVersionId"], listed["toMachineVersionId"]) == (
        migration,
        doors.old,
        doors.new,
    )
    assert migration in ask("migrations", "list", doors.machine).stdout


def test_a_migration_leads_from_the_current_version_when_that_is_said(ask: Run, doors: Doors, tmp_path: Path) -> None:
    file = tmp_path / "back.py"
    file.write_text(MIGRATION, encoding="utf-8")
    ran = ask("migrations", "create", doors.machine, str(file), "--from", "current", "--to", doors.old, "--json")
    assert ran.exit_code == 0, ran.stderr
    assert ran.json["fromMachineVersionId"] == doors.new


def test_a_file_that_is_no_migration_is_refused_with_its_name(ask: Run, doors: Doors, tmp_path: Path) -> None:
    file = tmp_path / "nothing.py"
    file.write_text("x = 1\n", encoding="utf-8")
    ran = ask("migrations", "create", doors.machine, str(file), "--from", doors.old, "--to", doors.new)
    assert ran.exit_code == 1
    assert "nothing.py: it exports neither upgrade_state" in ran.stderr


def test_a_plan_counts_moves_by_state_and_names_who_breaks(ask: Run, doors: Doors, tmp_path: Path) -> None:
    migrate(ask, doors, tmp_path)
    planned = ask("upgrades", "plan", doors.machine, "--to", "current", "--json", "--batch", "2")
    for_people = ask("upgrades", "plan", doors.machine, "--to", doors.new)

    assert planned.exit_code == for_people.exit_code == 1
    assert planned.json["counts"] == {"moved": 2, "failed": 1}
    assert planned.json["moves"] == [
        {"fromMachineVersionId": doors.old, "before": "open", "after": "ajar", "instances": 1},
        {"fromMachineVersionId": doors.old, "before": "shut", "after": "locked", "instances": 1},
    ]
    (failure,) = planned.json["failures"]
    assert (failure["instance"], failure["code"]) == ("cellar", "migration-failed")
    assert "2 would move, 1 would break" in for_people.stderr
    assert "cellar: upgrade_state of migration" in for_people.stderr
    assert "its hinges are worn" in for_people.stderr
    assert ask("instances", "inspect", doors.machine, "attic", "--json").json["machineVersion"]["id"] == doors.old


def test_a_plan_without_a_way_says_so_for_everybody(ask: Run, doors: Doors) -> None:
    planned = ask("upgrades", "plan", doors.machine, "--to", "current", "--json")
    assert {failure["code"] for failure in planned.json["failures"]} == {"no-migration-path"}
    assert planned.json["counts"] == {"failed": 3}


def test_an_upgrade_leaves_a_rescue_list_that_the_next_one_takes(ask: Run, doors: Doors, tmp_path: Path) -> None:
    migrate(ask, doors, tmp_path)
    rescue = tmp_path / "rescue.jsonl"
    applied = ask("upgrades", "apply", doors.machine, "--to", "current", "--rescue", str(rescue), "--rate", "1000")
    listed = [json.loads(line) for line in rescue.read_text(encoding="utf-8").splitlines()]
    states = {
        name: ask("instances", "get", doors.machine, name, "--json").json["state"]
        for name in ("attic", "bath", "cellar")
    }
    migrate(ask, doors, tmp_path, MENDED)
    again = ask("upgrades", "apply", doors.machine, "--to", "current", "--only", str(rescue), "--json")
    whole = ask("upgrades", "apply", doors.machine, "--to", "current", "--json")

    assert applied.exit_code == 1
    assert "2 moved, 1 failed" in applied.stderr
    assert f"--only {rescue}" in applied.stderr.replace("\n", "")
    assert [(line["instance"], line["code"]) for line in listed] == [("cellar", "migration-failed")]
    assert states == {"attic": "locked", "bath": "ajar", "cellar": "open"}
    assert (again.exit_code, again.json["counts"]) == (0, {"moved": 1})
    assert rescue.read_text(encoding="utf-8") == ""
    assert (whole.exit_code, whole.json["counts"]) == (0, {"there": 3})


def test_a_file_that_is_no_rescue_list_is_refused(ask: Run, doors: Doors, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("cellar\n", encoding="utf-8")
    ran = ask("upgrades", "apply", doors.machine, "--to", "current", "--only", str(file))
    assert ran.exit_code == 1
    assert "is no rescue list" in ran.stderr


def test_a_rescue_list_that_cannot_be_written_is_said_before_anybody_moves(
    ask: Run, doors: Doors, tmp_path: Path
) -> None:
    migrate(ask, doors, tmp_path)
    for place in (tmp_path / "nowhere" / "rescue.jsonl", tmp_path):
        ran = ask("upgrades", "apply", doors.machine, "--to", "current", "--rescue", str(place))
        assert (ran.exit_code, "cannot write a rescue list" in ran.stderr) == (1, True)
    assert ask("instances", "get", doors.machine, "attic", "--json").json["state"] == "shut"


@pytest.mark.timeout(60)
def test_a_rate_does_not_hold_up_those_that_are_there_already(ask: Run, doors: Doors, tmp_path: Path) -> None:
    migrate(ask, doors, tmp_path, MENDED)
    ask("upgrades", "apply", doors.machine, "--to", "current")
    again = ask("upgrades", "apply", doors.machine, "--to", "current", "--rate", "0.01", "--json")
    assert again.json["counts"] == {"there": 3}


def test_one_instance_is_told_to_move_and_shows_it(ask: Run, doors: Doors, tmp_path: Path) -> None:
    migrate(ask, doors, tmp_path)
    assert ask("instances", "upgrade", doors.machine, "attic", "--to", "current").exit_code == 0
    assert f"to be {doors.new}" in ask("instances", "inspect", doors.machine, "attic").stdout
    assert ask("instances", "send", doors.machine, "attic", "OPEN", "--json").json["state"] == "ajar"


def test_an_index_is_queried_and_built_anew(ask: Run, doors: Doors) -> None:
    by_secret = ask("indexes", "query", doors.machine, "secret", "--value", "under the mat", "--desc", "--json").json
    missing = ask("indexes", "query", doors.machine, "color")
    rebuilt = ask("indexes", "rebuild", doors.machine, "color", "--selector", "$.secret", "--batch", "2", "--json")
    found = ask("indexes", "query", doors.machine, "color", "--op", "gt", "--value", "a", "--limit", "2")

    assert [row["slug"] for row in by_secret] == ["cellar", "bath", "attic"]
    assert (missing.exit_code, "no index 'color'" in missing.stderr) == (1, True)
    assert rebuilt.json == {"index": "color", "rebuilt": 3, "failed": {}}
    assert "under the mat" in found.stdout
    assert "cellar" not in found.stdout


def test_an_operator_without_a_value_is_refused(ask: Run, doors: Doors) -> None:
    ran = ask("indexes", "query", doors.machine, "secret", "--op", "gt")
    assert (ran.exit_code, "--value" in ran.stderr) == (1, True)


def test_a_selector_that_is_no_pair_is_refused(ask: Run, tmp_path: Path) -> None:
    ran = ask("machines", "deploy", str(tmp_path / "door.py"), "--index", "owner")
    assert (ran.exit_code, "owner=$.public.owner" in ran.stderr) == (1, True)


@pytest.mark.slow
async def test_an_upgrade_that_is_interrupted_goes_on_when_it_is_run_again(
    ask: Run, doors: Doors, tmp_path: Path, server: LiveServer
) -> None:
    migrate(ask, doors, tmp_path, MENDED)
    environment = {
        "PERDURE_URL": server.url,
        "PERDURE_KEY_ID": server.key_id,
        "PERDURE_KEY_SECRET": server.key_secret,
    }
    arguments = ("upgrades", "apply", doors.machine, "--to", doors.new)
    async with perdure(*arguments, "--rate", "0.01", cwd=tmp_path, **environment) as command:
        while ask("instances", "get", doors.machine, "attic", "--json").json["state"] != "locked":  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.1)
        code = await command.end(signal.SIGINT)
    again = ask(*arguments, "--json")

    assert code == 130
    assert "goes on" in command.output
    assert again.json["counts"] == {"there": 1, "moved": 2}
