"""The engine's design note says where each procedure of SCXML's Appendix D is; it has to be there, and to say so."""

from __future__ import annotations

import importlib
import inspect
import re
from functools import reduce
from pathlib import Path

import pytest

import perdure.statechart

NOTE = Path(perdure.statechart.__file__).parent / "DESIGN.md"
ROW = re.compile(r"^\| `(\w+)` \| (`.*?`) \|", re.MULTILINE)
PROCEDURES = {
    procedure: re.findall(r"`([\w.]+)`", places)
    for procedure, places in ROW.findall(NOTE.read_text(encoding="utf-8").partition("## SCXML's procedures")[2])
}
APPENDIX_D = [
    "interpret",
    "mainEventLoop",
    "exitInterpreter",
    "selectEventlessTransitions",
    "selectTransitions",
    "removeConflictingTransitions",
    "microstep",
    "exitStates",
    "computeExitSet",
    "executeTransitionContent",
    "enterStates",
    "computeEntrySet",
    "addDescendantStatesToEnter",
    "addAncestorStatesToEnter",
    "isInFinalState",
    "getTransitionDomain",
    "findLCCA",
    "getEffectiveTargetStates",
    "getProperAncestors",
    "isDescendant",
    "getChildStates",
]


def test_the_design_note_has_every_procedure_of_appendix_d() -> None:
    assert list(PROCEDURES) == APPENDIX_D


@pytest.mark.parametrize("procedure", APPENDIX_D)
def test_a_procedure_of_appendix_d_is_found_where_the_note_says_by_the_name_it_has_there(procedure: str) -> None:
    for place in PROCEDURES[procedure]:
        module, *names = place.split(".")
        found = reduce(getattr, names, importlib.import_module(f"perdure.statechart.{module}"))
        assert f"``{procedure}``" in (inspect.getdoc(found) or ""), f"the docstring of {place} does not say {procedure}"
