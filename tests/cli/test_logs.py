"""The commands for logs, against a whole server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.live_server import LiveServer

PARROT = """
import logging
from perdure import create_machine

speech = logging.getLogger("speech")

def speak(context, event):
    speech.warning("%s", event["text"])

machine = create_machine(
    {"initial": "a", "states": {"a": {"on": {"SAY": {"actions": "speak"}}}}}, actions={"speak": speak}
)

def allow_read(request):
    return True

def allow_write(request):
    return True
"""


@pytest.fixture
def parrot(ask: Run, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A machine of this test's own with the instance `polly`, which has said two lines."""
    name = f"parrot-{request.node.name.replace('_', '-')}"
    file = tmp_path / f"{name}.py"
    file.write_text(PARROT)
    assert ask("machines", "deploy", str(file)).exit_code == 0
    ask("instances", "create", name, "polly")
    ask("instances", "send", name, "polly", "SAY", "--data", json.dumps({"text": "one\ntwo"}))
    return name


def test_logs_are_shown_line_by_line_with_their_instance(ask: Run, parrot: str) -> None:
    ran = ask("logs", "get", parrot, "--since", "10m")
    assert ran.exit_code == 0, ran.stderr
    first, second = ran.stdout.splitlines()
    assert first.endswith(f"  {parrot}/polly  WARNING:speech:one")
    assert second.endswith(f"  {parrot}/polly  two")


def test_logs_are_one_array_for_programs_and_narrowed(ask: Run, parrot: str) -> None:
    (entry,) = ask("logs", "get", parrot, "polly", "--json").json
    assert (entry["instanceName"], entry["outputType"], entry["log"]) == (
        "polly",
        "stderr",
        "WARNING:speech:one\ntwo\n",
    )
    assert ask("logs", "get", parrot, "jack", "--json").json == []
    assert ask("logs", "get", parrot, "--version", "ver_other", "--json").json == []
    assert ask("logs", "get", parrot, "--since", "2d", "--until", "1d", "--json").json == []
    assert len(ask("logs", "get", parrot, "--since", "2026-01-02T03:04", "--limit", "1", "--json").json) == 1


@pytest.mark.parametrize("since", ["soon", "10", "-5m", "0s", "2026-13-01"])
def test_a_time_that_is_none_is_refused_with_an_example(ask: Run, since: str) -> None:
    ran = ask("logs", "get", f"--since={since}")
    assert ran.exit_code == 1
    assert "write it like" in ran.stderr


def test_watching_shows_what_comes_and_ends_with_ctrl_c(
    ask: Run, parrot: str, server: LiveServer, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "PERDURE_URL": server.url,
        "PERDURE_KEY_ID": server.key_id,
        "PERDURE_KEY_SECRET": server.key_secret,
    }
    command = [sys.executable, "-m", "perdure", "logs", "watch", parrot, "--since", "10m", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=tmp_path, text=True) as watching:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["log"] == "WARNING:speech:one\ntwo\n"
        ask("instances", "send", parrot, "polly", "SAY", "--data", json.dumps({"text": "three"}))
        assert json.loads(watching.stdout.readline())["log"] == "WARNING:speech:three\n"
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 0
