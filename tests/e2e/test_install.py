"""The package as a stranger gets it: a wheel, pip, and a fresh environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.install import PROGRAM, Installed, build_wheel, install
from tests.documents.snippets import ROOT, follow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLIENT_DEPENDENCIES = {
    "anyio",
    "h11",
    "httpcore2",
    "httpx2",
    "idna",
    "msgspec",
    "pyjwt",
    "structlog",
    "truststore",
    "typing_extensions",
    "websockets",
}
CLIENT_BYTES_MAX = 10_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """perdure's wheel. Without a package index this is skipped on a laptop, and fails where CI runs."""
    folder = tmp_path_factory.mktemp("install")
    probe: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        folder / "probe",
        "hatchling",
    ]
    if subprocess.run(probe, cwd=folder, capture_output=True, timeout=60, check=False).returncode != 0:
        if os.environ.get("CI"):
            pytest.fail("pip reaches no package index")
        pytest.skip("pip reaches no package index")
    return build_wheel(folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """perdure without extras."""
    return install(wheel, tmp_path_factory.mktemp("plain") / "venv")


def test_the_client_alone_brings_eleven_small_packages_and_nothing_of_the_server(
    installed: Installed, tmp_path: Path
) -> None:
    assert set(installed.sizes) <= CLIENT_DEPENDENCIES
    assert sum(installed.sizes.values()) < CLIENT_BYTES_MAX
    result = installed.run("import perdure.client; print(perdure.client.AsyncClient.__name__)", tmp_path)
    assert result.stdout == "AsyncClient\n"


def test_durable_instances_inside_a_program_need_no_more_than_that(installed: Installed, tmp_path: Path) -> None:
    assert installed.run(PROGRAM, tmp_path).stdout == "on\n"
    assert (tmp_path / "app.db").exists()


def test_the_command_without_the_server_says_what_to_install(installed: Installed, tmp_path: Path) -> None:
    command: list[str | Path] = [installed.folder / "bin" / "perdure", "--help"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert "pip install 'perdure[server]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_tour_works_as_it_is_written_with_what_pip_installs(wheel: Path, tmp_path: Path) -> None:
    installed = install(wheel, tmp_path / "venv", "server")
    folder = tmp_path / "tour"
    folder.mkdir()
    path = f"{installed.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    follow(ROOT / "docs" / "tour.md", folder, {"PATH": path, "PYTHONPATH": "", "PERDURE_PORT": "0"})
