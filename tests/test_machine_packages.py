"""Machine packages: every module goes along, and what was bundled is what runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import perdure
from perdure.bootstrap import DEFAULT_ORG, deploy_machine_file
from perdure.errors import MachineCodeError
from perdure.hosts.in_process import load_definition
from perdure.machine_packages import is_machine_package, read_machine_package

INIT = """
from perdure import create_machine

from .rules import allow_read, allow_write
from .steps.pay import price

machine = create_machine({"id": "shop", "context": {"price": price()}, "initial": "open", "states": {"open": {}}})
"""
RULES = """
def allow_read(request):
    return True


def allow_write(request):
    return True
"""
PAY = "from .. import steps\n\n\ndef price():\n    return steps.PRICE\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "corner_shop"
    (folder / "steps").mkdir(parents=True)
    (folder / "__init__.py").write_text(INIT, encoding="utf-8")
    (folder / "rules.py").write_text(RULES, encoding="utf-8")
    (folder / "steps" / "__init__.py").write_text("PRICE = 5\n", encoding="utf-8")
    (folder / "steps" / "pay.py").write_text(PAY, encoding="utf-8")
    return folder


async def test_a_package_is_deployed_whole_and_runs_when_its_files_are_gone(package: Path, tmp_path: Path) -> None:
    found = read_machine_package(package)
    assert found.machine == "corner-shop"
    url = f"sqlite:///{tmp_path}/shop.db"
    async with perdure.open(url) as runtime:
        version, is_new = await deploy_machine_file(runtime, DEFAULT_ORG, found)
        assert is_new
    for file in package.rglob("*.py"):
        file.unlink()
    async with perdure.open(url) as runtime:
        state = await runtime.create_instance(perdure.address("corner-shop", "one"), version_id=version.id)
        assert state.context == {"price": 5}


def test_two_versions_of_a_package_live_side_by_side(package: Path) -> None:
    old = load_definition(read_machine_package(package).source, "shop")
    (package / "steps" / "__init__.py").write_text("PRICE = 7\n", encoding="utf-8")
    new = load_definition(read_machine_package(package).source, "shop")
    again = load_definition(read_machine_package(package).source, "shop")
    assert [perdure.initial(each.machine).snapshot.context for each in (old, new, again)] == [
        {"price": 5},
        {"price": 7},
        {"price": 7},
    ]
    assert "corner_shop" not in sys.modules


def test_the_bundle_is_the_same_for_the_same_files_and_another_one_when_any_changes(package: Path) -> None:
    first = read_machine_package(package).source
    assert read_machine_package(package).source == first
    (package / "rules.py").write_text(RULES + "\n# a remark\n", encoding="utf-8")
    assert read_machine_package(package).source != first


def test_a_package_that_imports_itself_by_name_is_refused_with_the_place(package: Path) -> None:
    (package / "steps" / "pay.py").write_text("import os\nimport corner_shop.steps\n", encoding="utf-8")
    with pytest.raises(MachineCodeError, match="relative import") as refused:
        read_machine_package(package)
    assert (refused.value.file, refused.value.line) == (str(package / "steps" / "pay.py"), 2)


def test_a_mistake_in_a_module_of_a_package_is_told_with_the_module(package: Path) -> None:
    (package / "rules.py").write_text("def broken(:\n", encoding="utf-8")
    with pytest.raises(MachineCodeError, match="syntax error") as refused:
        read_machine_package(package)
    assert refused.value.line == 1
    (package / "rules.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(MachineCodeError, match="ZeroDivisionError"):
        load_definition(read_machine_package(package).source, "shop")


def test_a_package_without_a_machine_is_refused(package: Path, tmp_path: Path) -> None:
    (package / "__init__.py").write_text("", encoding="utf-8")
    with pytest.raises(MachineCodeError, match="machine"):
        read_machine_package(package)
    assert not is_machine_package(tmp_path)
