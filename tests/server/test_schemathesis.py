"""The running server is held to its own document: generated requests, good and bad, alone and in sequences."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from perdure.client import Client
from perdure.clock import SystemClock
from perdure.tokens import sign_token
from tests.live_server import DOOR, live_server

SEED = "1"
EXAMPLES_MAX = "4"
SECONDS_MAX = 240
"""It takes well under a minute where nothing else runs."""

# Not asked: whether every request that fits its schema succeeds. Cursors, HMACs and ids are promises of the server,
# which no schema can say.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
]


@pytest.mark.slow
@pytest.mark.timeout(SECONDS_MAX + 60)
def test_generated_requests_find_no_answer_that_the_document_does_not_promise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text('[parameters]\n"path.machineSlug" = "door"\n')
    with live_server() as live:
        act = {"sub": "dev"}
        expires_in = timedelta(hours=1)
        token = sign_token(live.key_id, live.key_secret, act, now=SystemClock().now(), expires_in=expires_in)
        with Client(live.url, token) as client:
            client.create_machine("door")
            client.deploy("door", DOOR, file_name="door.py")
            client.create_instance("door", "front")
        command = [
            *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
            *("--config-file", str(config), "run", f"{live.url}/openapi.json", "--url", live.url),
            *("--header", f"Authorization: Bearer {token}", "--seed", SEED, "--max-examples", EXAMPLES_MAX),
            *("--phases", "coverage,fuzzing,stateful", "--checks", ",".join(CHECKS), "--continue-on-failure"),
            *("--workers", "1", "--no-color", "--request-timeout", "20"),
        ]
        environment = {**os.environ, "PYTHONWARNINGS": "default"}
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_MAX, cwd=tmp_path, env=environment, check=False
        )

    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
    counted = re.search(r"(\d+) generated", ran.stdout)
    assert counted is not None, ran.stdout[-2_000:]
    assert int(counted[1]) >= 300, f"only {counted[1]} requests were made"
    with capsys.disabled():
        print(f"\nschemathesis: {counted[1]} cases, 0 failures")  # noqa: T201 - a figure for whoever runs it
