"""The published JavaScript clients of the contract, unmodified, against a server in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from perdure.bootstrap import DEFAULT_ORG
from perdure.testing.server_process import ServerProcess

HERE = Path(__file__).parent
SECONDS_MAX = 240
CHECKS_MIN = 46


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true")


@pytest.fixture(scope="module")
def node() -> str:
    """Node with the pinned clients beside the suite. Without Node it is skipped on a laptop and fails in CI."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        reason = "Node and npm are not on the path, so the contract's own clients were not tried"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)
    arguments = ["ci", "--silent", "--no-fund", "--no-audit"]
    subprocess.run([npm, *arguments], cwd=HERE, check=True, timeout=SECONDS_MAX, capture_output=not in_ci())
    return found


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS_MAX + 60)
async def test_the_published_clients_work_against_the_server(
    node: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = tmp_path / "machines" / "idle.py"
    machine.parent.mkdir()
    machine.write_text(
        "from perdure import create_machine\n\n"
        'machine = create_machine({"id": "idle"})\n\n\n'
        "def allow_read(request):\n    return True\n\n\n"
        "def allow_write(request):\n    return True\n"
    )
    async with ServerProcess(tmp_path, [machine.parent]) as server:
        key_id, key_secret = server.key
        environment = {
            **os.environ,
            "PERDURE_URL": server.url,
            "PERDURE_ORG": DEFAULT_ORG,
            "PERDURE_KEY_ID": key_id,
            "PERDURE_KEY_SECRET": key_secret,
        }
        command = [node, "--test", "--test-reporter=tap", "--test-concurrency=1", str(HERE / "suite.cjs")]
        ran = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this loop
            command, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
        log = server.log()

    assert ran.returncode == 0, f"{ran.stdout[-12_000:]}{ran.stderr[-4_000:]}\n{log[-4_000:]}"
    passed = int(re.search(r"^# pass (\d+)$", ran.stdout, re.M)[1])  # type: ignore[index]  # absent is a failure, too
    assert passed >= CHECKS_MIN, f"only {passed} checks were made"
    assert "Traceback" not in log
    assert "ERROR" not in log
    with capsys.disabled():
        print(f"\nthe contract's JavaScript clients: {passed} checks passed")  # noqa: T201 - for whoever runs it
