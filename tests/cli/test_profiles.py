"""Servers by name: kept for their owner alone, and found by every command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.live_server import LiveServer

KEY = ("--key-id", "sbk_1", "--key-secret", "sbsec_1")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where the profiles are."""
    return tmp_path / "config" / "perdure" / "profiles.json"


def test_a_profile_reaches_its_server_with_its_key(run: Run, server: LiveServer) -> None:
    key = ("--key-id", server.key_id, "--key-secret", server.key_secret)
    assert run("profiles", "add", "here", "--url", server.url, *key).exit_code == 0
    assert run("machines", "list", "--profile", "here").exit_code == 0
    assert run("machines", "list").exit_code == 0, "the first one is the current one"
    assert run("machines", "list", PERDURE_PROFILE="here").exit_code == 0


def test_profiles_are_for_their_owner_alone(run: Run, kept: Path) -> None:
    run("profiles", "add", "prod", "--url", "https://perdure.example", *KEY)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    kept.chmod(0o640)
    refused = run("machines", "list")
    assert refused.exit_code == 1
    assert f"chmod 600 {kept}" in refused.stderr


def test_secrets_are_never_listed(run: Run) -> None:
    run("profiles", "add", "prod", "--url", "https://perdure.example", *KEY)
    for shown in (run("profiles", "list"), run("profiles", "list", "--json")):
        assert "prod" in shown.stdout
        assert "sbsec_1" not in shown.stdout + shown.stderr


def test_the_current_profile_is_the_one_that_is_used_last(run: Run) -> None:
    run("profiles", "add", "a", "--url", "http://a.example", *KEY)
    run("profiles", "add", "b", "--url", "http://b.example", *KEY)
    assert [each["name"] for each in run("profiles", "list", "--json").json if each["current"]] == ["a"]
    run("profiles", "use", "b")
    assert [each["name"] for each in run("profiles", "list", "--json").json if each["current"]] == ["b"]
    run("profiles", "remove", "b")
    assert [each["current"] for each in run("profiles", "list", "--json").json] == [False]


def test_a_profile_that_is_not_there_names_those_that_are(run: Run) -> None:
    run("profiles", "add", "prod", "--url", "https://perdure.example", *KEY)
    missing = run("machines", "list", "--profile", "pord")
    assert missing.exit_code == 1
    assert "'pord'" in missing.stderr
    assert "prod" in missing.stderr


def test_a_profile_needs_a_key_or_a_token(run: Run, kept: Path) -> None:
    assert run("profiles", "add", "prod", "--url", "https://perdure.example").exit_code == 1
    assert not kept.exists()


def test_a_file_that_cannot_be_read_is_named(run: Run, kept: Path) -> None:
    run("profiles", "add", "prod", "--url", "https://perdure.example", *KEY)
    kept.write_text("{", encoding="utf-8")
    broken = run("profiles", "list")
    assert broken.exit_code == 1
    assert str(kept) in broken.stderr


def test_flags_come_before_the_current_profile(run: Run, server: LiveServer) -> None:
    run("profiles", "add", "prod", "--url", "http://127.0.0.1:9", *KEY)
    key = ("--key-id", server.key_id, "--key-secret", server.key_secret)
    assert run("machines", "list", "--url", server.url, *key).exit_code == 0


# -- waiting for a state -----------------------------------------------------------------------------------------------


def test_sending_can_wait_for_a_state(ask: Run, name: str) -> None:
    assert ask("instances", "create", "door", name).exit_code == 0
    sent = ask("instances", "send", "door", name, "OPEN", "--wait-for", "open", "--json")
    assert (sent.exit_code, sent.json["state"]) == (0, "open")


def test_a_state_that_does_not_come_in_time_is_an_error_that_says_where_it_is(ask: Run, name: str) -> None:
    ask("instances", "create", "door", name)
    sent = ask("instances", "send", "door", name, "OPEN", "--wait-for", "shut", "--timeout", "1s")
    assert sent.exit_code == 1
    assert "it is in open" in sent.stderr
    assert "was applied" in sent.stderr


def test_a_state_that_can_no_longer_come_is_not_waited_for(ask: Run, name: str) -> None:
    ask("instances", "create", "door", name)
    sent = ask("instances", "send", "door", name, "BURN", "--wait-for", "open", "--timeout", "1h")
    assert sent.exit_code == 1
    assert "has ended in ashes" in sent.stderr
