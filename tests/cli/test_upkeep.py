"""The commands for dead letters and the retention of histories, against a whole server."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run

PICKY = """
from perdure import create_machine

machine = create_machine({"initial": "a", "states": {"a": {}}})

def allow_read(request):
    return True

def allow_write(request):
    return request.sender is None
"""


def test_dead_letters_are_asked_for_by_id_or_all_of_them(ask: Run) -> None:
    listed = ask("dead-letters", "list")
    assert listed.exit_code == 0
    assert ask("dead-letters", "list", "--json").json == []
    neither = ask("dead-letters", "redrive")
    assert (neither.exit_code, "give their ids, or --all" in neither.stderr) == (1, True)
    absent = ask("dead-letters", "show", "AAAA")
    assert (absent.exit_code, "no dead letter" in absent.stderr) == (1, True)
    assert ask("dead-letters", "drop", "--all", "--yes", "--json").json == {"dropped": []}
    assert ask("dead-letters", "redrive", "--all", "--json").json == {"redriven": []}


def test_retention_is_shown_set_and_applied(ask: Run, tmp_path: Path) -> None:
    file = tmp_path / "kept.py"
    file.write_text(PICKY)
    ask("machines", "deploy", str(file))
    ask("instances", "create", "kept", "one")
    for _ in range(4):
        ask("instances", "send", "kept", "one", "HI")
    assert "all is kept" in ask("machines", "retention", "kept").stdout
    answer = ask("machines", "retention", "kept", "--entries", "2", "--days", "30", "--prune")
    assert "at most 2 entries and 30 days are kept" in answer.stdout
    assert "deleted: 3 entries" in answer.stdout
    assert len(ask("instances", "history", "kept", "one", "--json").json) == 2
    assert ask("machines", "retention", "kept", "--json").json == {
        "slug": "kept",
        "entries": 2,
        "days": 30,
        "removed": 0,
    }
    both = ask("machines", "retention", "kept", "--forever", "--days", "2")
    assert (both.exit_code, "--forever keeps everything" in both.stderr) == (1, True)
    assert "at most 2 entries and 30 days" in ask("machines", "retention", "kept").stdout
    assert "all is kept" in ask("machines", "retention", "kept", "--forever").stdout
