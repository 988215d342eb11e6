"""The recorded XState cases, replayed: all agree but those that docs/conformance.md lists with a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.xstate_replay import Recorded, recorded_cases, replay

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
ROW = re.compile(r"^\| `(?P<case>[^`]+)` \| (?P<xstate>[^|]+) \| (?P<perdure>[^|]+) \| (?P<why>[^|]+) \|$", re.M)

CASES = recorded_cases()
DIVERGENT = {row["case"] for row in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("name", [name for name in CASES if name not in DIVERGENT])
def test_perdure_does_what_xstate_did(name: str) -> None:
    case: Recorded = CASES[name]
    assert replay(case) == case["steps"]


@pytest.mark.parametrize("name", sorted(DIVERGENT))
def test_a_listed_divergence_is_still_one(name: str) -> None:
    assert name in CASES, f"docs/conformance.md lists a case that is not recorded: {name}"
    case = CASES[name]
    assert replay(case) != case["steps"], f"{name} agrees now: take it out of docs/conformance.md"


def test_the_recordings_cover_every_topic() -> None:
    topics = {name.split(":")[0] for name in CASES}
    assert len(CASES) >= 80
    assert {"selection", "conflicts", "domain", "targets", "always", "raised", "timers", "done", "history"} <= topics
