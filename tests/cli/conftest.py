"""Commands run inside the test, against a whole server in a thread."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perdure.cli import app
from perdure.json_value import Json
from tests.live_server import DOOR, LiveServer, live_server

VARIABLES = (
    "URL",
    "TOKEN",
    "KEY_ID",
    "KEY_SECRET",
    "STORE",
    "HOST",
    "PORT",
    "PUBLIC_URL",
    "MASTER_KEY",
    "PROFILE",
    "SETTINGS",
)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Json:
        return json.loads(self.stdout)


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def nothing_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, and none of our variables set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in VARIABLES:
        monkeypatch.delenv(f"PERDURE_{name}", raising=False)


@pytest.fixture
def run() -> Run:
    """Run a command without a server."""

    def run(*arguments: str, **environment: str) -> Ran:
        # In a thread, since a command that starts an event loop could not do so within that of an asynchronous test.
        with ThreadPoolExecutor(1) as thread:
            result = thread.submit(CliRunner().invoke, app, list(arguments), env=environment).result()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="package")
def server() -> Iterator[LiveServer]:
    with live_server() as running:
        yield running


@pytest.fixture
def ask(run: Run, server: LiveServer, tmp_path: Path) -> Run:
    """Run a command against a server that has the machine `door`, with a key that may do everything."""

    def ask(*arguments: str) -> Ran:
        return run(
            *arguments,
            PERDURE_URL=server.url,
            PERDURE_KEY_ID=server.key_id,
            PERDURE_KEY_SECRET=server.key_secret,
        )

    file = tmp_path / "door.py"
    file.write_text(DOOR, encoding="utf-8")
    if ask("machines", "get", "door").exit_code != 0:
        assert ask("machines", "deploy", str(file)).exit_code == 0
    return ask


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An instance name that no other test uses."""
    return str(request.node.name)
