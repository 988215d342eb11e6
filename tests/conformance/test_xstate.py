"""The recorded XState cases, replayed: all agree but those that docs/conformance.md lists with a reason."""

from __future__ import annotations

import pytest

from tests.conformance.divergences import listed_divergences
from tests.conformance.xstate_replay import Recorded, recorded_cases, replay

CASES = recorded_cases()
DIVERGENT = listed_divergences()
TOPICS = {
    "actions", "activities", "always", "answers", "asking", "changed", "children", "conflicts", "domain", "done",
    "ends", "failures", "forbidden", "forwarding", "history", "inside", "invoke", "keys", "objects", "order",
    "raised", "random", "selection", "sends", "tags", "targets", "timers", "written",
}  # fmt: skip


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
    assert topics == TOPICS
    assert len([name for name in CASES if not name.startswith("random:")]) >= 440
    assert len([name for name in CASES if name.startswith("random:")]) >= 60
