"""Store URLs, the master key, and opening a store with machines inside a program."""

from __future__ import annotations

import stat
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from perdure import (
    Address,
    AuthorizerRefused,
    Definition,
    Limits,
    MachineConfigError,
    NotFound,
    RuntimeSettings,
    create_machine,
)
from perdure.bootstrap import (
    DEFAULT_ORG,
    MASTER_KEY_VARIABLE,
    address,
    create_store,
    ensure_default_org,
    find_master_key,
    make_master_key,
    open,
    open_store,
    require_master_key,
    sqlite_path,
)
from perdure.clock import SystemClock
from perdure.entropy import SystemEntropy
from perdure.errors import EventTooLarge, InvalidParameter, MachineCodeError
from perdure.hosts.in_process import load_definition
from perdure.stores.memory import MemoryStore
from perdure.stores.sqlite import SqliteStore
from tests.live_server import DOOR

FRONT = Address(DEFAULT_ORG, "door", "front")
MACHINE = create_machine({"id": "door", "initial": "shut", "states": {"shut": {}}})

# -- stores ------------------------------------------------------------------------------------------------------------


def test_each_scheme_names_its_store() -> None:
    assert isinstance(create_store("memory://"), MemoryStore)
    assert isinstance(create_store("sqlite:///x.db"), SqliteStore)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///x.db", "x.db"),
        ("sqlite:///data/x.db", "data/x.db"),
        ("sqlite:////var/lib/x.db", "/var/lib/x.db"),
        ("sqlite:///a%20b.db", "a b.db"),
    ],
)
def test_three_slashes_are_a_path_from_here_and_four_an_absolute_one(url: str, path: str) -> None:
    assert sqlite_path(url) == Path(path)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:x.db", "sqlite://host/x.db"])
def test_an_sqlite_url_without_a_file_says_how_to_write_one(url: str) -> None:
    with pytest.raises(InvalidParameter, match=r"sqlite:///file\.db"):
        create_store(url)


@pytest.mark.parametrize("url", ["oracle://db", "x.db", "", "memory:", "postgres"])
def test_an_unknown_store_is_refused_with_those_there_are(url: str) -> None:
    with pytest.raises(InvalidParameter, match="names no store") as caught:
        create_store(url)
    assert "sqlite:///" in str(caught.value)
    assert "memory://" in str(caught.value)


# -- the master key ----------------------------------------------------------------------------------------------------


def test_the_environment_gives_the_master_key_before_the_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    make_master_key(url, SystemEntropy())
    assert find_master_key(url, {MASTER_KEY_VARIABLE: "k" * 32}) == b"k" * 32


def test_a_short_master_key_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="32 random characters"):
        find_master_key("memory://", {MASTER_KEY_VARIABLE: "short"})


def test_a_made_master_key_is_found_again_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    made = make_master_key(url, SystemEntropy())
    file = tmp_path / "x.db.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert find_master_key(url, {}) == made
    assert len(made) >= 32


def test_a_master_key_is_never_written_over(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    make_master_key(url, SystemEntropy())
    with pytest.raises(FileExistsError):
        make_master_key(url, SystemEntropy())


def test_a_master_key_for_a_directory_that_is_not_there_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=f"the directory {tmp_path}/data does not exist: create it first"):
        make_master_key(f"sqlite:///{tmp_path}/data/x.db", SystemEntropy())


def test_a_master_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    make_master_key(url, SystemEntropy())
    (tmp_path / "x.db.key").chmod(0o640)
    with pytest.raises(InvalidParameter, match="chmod 600"):
        find_master_key(url, {})


def test_a_short_key_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.db.key"
    file.write_text("\n", encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(InvalidParameter, match="too short"):
        find_master_key(f"sqlite:///{tmp_path}/x.db", {})


def test_a_missing_master_key_is_refused_with_the_command_that_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MASTER_KEY_VARIABLE, raising=False)
    with pytest.raises(InvalidParameter, match="openssl rand") as caught:
        require_master_key(f"sqlite:///{tmp_path}/x.db")
    assert f"{tmp_path}/x.db.key" in str(caught.value)


def test_a_server_over_memory_is_refused_since_nobody_could_ever_call_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MASTER_KEY_VARIABLE, raising=False)
    with pytest.raises(InvalidParameter, match="perdure dev"):
        require_master_key("memory://")


# -- the default org ---------------------------------------------------------------------------------------------------


async def test_the_default_org_is_created_once_and_found_ever_after(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_store(f"sqlite:///{tmp_path}/x.db") as store:
            assert await ensure_default_org(store, SystemClock()) == DEFAULT_ORG
            assert [org.id for org in (await store.list_orgs(cursor=None, limit=10)).rows] == [DEFAULT_ORG]


# -- embedding ---------------------------------------------------------------------------------------------------------


async def test_instances_of_a_machine_file_survive_the_program(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    file = tmp_path / "door.py"
    file.write_text(DOOR, encoding="utf-8")
    async with open(url, [file]) as runtime:
        await runtime.create_instance(FRONT)
        await runtime.send(FRONT, "OPEN")
    async with open(url) as runtime:
        assert (await runtime.read(FRONT)).state == "open"
        assert (await runtime.send(FRONT, "SHUT")).state == "shut"


async def test_the_same_file_is_the_same_version_and_a_changed_one_is_another(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    file = tmp_path / "door.py"
    versions: list[str | None] = []
    for source in (DOOR, DOOR, DOOR.replace('"initial": "shut"', '"initial": "open"')):
        file.write_text(source, encoding="utf-8")
        async with open(url, [str(tmp_path)]) as runtime:
            machine = await runtime.store.machine(DEFAULT_ORG, "door")
            assert machine is not None
            versions.append(machine.current_version)
    assert versions[0] == versions[1] != versions[2]


async def test_a_module_is_a_machine_under_its_own_name() -> None:
    module = ModuleType("shop.front_door")
    exec(DOOR, vars(module))
    async with open("memory://", [module]) as runtime:
        address = Address(DEFAULT_ORG, "front-door", "a")
        assert (await runtime.create_instance(address)).state == "shut"


async def test_a_module_without_authorisers_is_refused() -> None:
    module = ModuleType("door")
    module.__dict__["machine"] = create_machine({"id": "door"})
    with pytest.raises(MachineCodeError, match="allow_read"):
        async with open("memory://", [module]):
            pass


async def test_a_definition_is_a_machine_under_the_name_it_is_given() -> None:
    definition: Definition = load_definition(DOOR, "door.py")
    async with open("memory://", [("door", definition)]) as runtime:
        await runtime.create_instance(FRONT)
        assert (await runtime.read(FRONT, auth_context={"sub": "anybody"})).state == "shut"


async def test_a_bare_machine_is_for_the_program_itself_and_for_no_caller_from_outside() -> None:
    machine = create_machine({"id": "light", "initial": "off", "states": {"off": {"on": {"FLIP": "on"}}, "on": {}}})
    async with open("memory://", [("light", machine)]) as runtime:
        address = Address(DEFAULT_ORG, "light", "a")
        await runtime.create_instance(address)
        assert (await runtime.send(address, "FLIP")).state == "on"
        with pytest.raises(AuthorizerRefused):
            await runtime.read(address, auth_context={"sub": "anybody"})
        with pytest.raises(AuthorizerRefused):
            await runtime.send(address, "FLIP", auth_context={"sub": "anybody"})


async def test_a_broken_machine_file_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "door.py"
    file.write_text(DOOR.replace('"shut",', '"shutt",'), encoding="utf-8")
    with pytest.raises(MachineConfigError, match="shutt"):
        async with open("memory://", [file]):
            pass


@pytest.mark.parametrize("machines", ["door.py", {"door": MACHINE}])
async def test_machines_that_are_no_list_are_refused_with_how_to_write_one(machines: Any) -> None:
    with pytest.raises(InvalidParameter, match="machines is a list"):
        async with open("memory://", machines):
            pass


async def test_a_machine_without_a_name_is_refused_and_not_passed_over() -> None:
    nameless: Any = [MACHINE]
    with pytest.raises(InvalidParameter, match="a pair of a name and a machine"):
        async with open("memory://", nameless):
            pass


async def test_a_path_that_does_not_exist_leaves_no_database_behind(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="does not exist"):
        async with open(f"sqlite:///{tmp_path}/x.db", [tmp_path / "nowhere"]):
            pass
    assert not (tmp_path / "x.db").exists()  # the test is over


async def test_reading_an_instance_of_no_machine_says_so() -> None:
    async with open("memory://") as runtime:
        with pytest.raises(NotFound, match="no machine"):
            await runtime.read(FRONT)


# -- settings ----------------------------------------------------------------------------------------------------------


async def test_a_program_may_give_limits_of_its_own() -> None:
    settings = RuntimeSettings(limits=Limits(event_bytes_max=50))
    lamp = create_machine({"id": "lamp"})
    async with open("memory://", [("lamp", lamp)], settings=settings) as runtime:
        where = address("lamp", "one")
        await runtime.create_instance(where)
        with pytest.raises(EventTooLarge, match="the limit is 50 bytes"):
            await runtime.send(where, {"type": "SAY", "text": "x" * 50})


@pytest.mark.parametrize(
    "given",
    [
        {"processing_timeout": -1},
        {"processing_timeout": float("nan")},
        {"processing_timeout": float("inf")},
        {"processing_timeout": "30"},
        {"mail_attempts": 0},
        {"mail_attempts": 2.5},
        {"mail_attempts": True},
        {"mail_backoff": ()},
        {"mail_backoff": (1, -1)},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_where_it_is_given(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InvalidParameter, match=name):
        RuntimeSettings(**given)


def test_a_limit_that_makes_no_sense_is_refused_where_it_is_given() -> None:
    with pytest.raises(InvalidParameter, match="inbox_max is a whole number from 1 up, not 0"):
        Limits(inbox_max=0)
