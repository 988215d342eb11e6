"""The commands against a whole server: what they print, as JSON and for people, and how they fail."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from tests.cli.conftest import Run
from tests.live_server import DOOR, LiveServer


def test_deploying_creates_the_machine_and_names_the_version(ask: Run, tmp_path: Path) -> None:
    file = tmp_path / "back_door.py"
    file.write_text(DOOR, encoding="utf-8")
    deployed = ask("machines", "deploy", str(file), "--json").json
    assert deployed["slug"] == "back-door"
    machine = ask("machines", "get", "back-door", "--json").json
    assert machine["currentVersion"]["id"] == deployed["machineVersionId"]
    assert machine["currentVersion"]["clientInfo"] == "back_door.py"
    assert [version["id"] for version in machine["versions"]] == [deployed["machineVersionId"]]


def test_deploying_without_making_current_leaves_the_current_version(ask: Run, tmp_path: Path) -> None:
    before = ask("machines", "get", "door", "--json").json["currentVersion"]["id"]
    ran = ask("machines", "deploy", str(tmp_path / "door.py"), "--no-current", "--info", "a commit")
    assert "not current" in ran.stdout
    assert ask("machines", "get", "door", "--json").json["currentVersion"]["id"] == before


def test_deploying_a_broken_machine_says_what_is_wrong_and_where(ask: Run, tmp_path: Path) -> None:
    file = tmp_path / "door.py"
    file.write_text(DOOR.replace('"SHUT": "shut"', '"SHUT": "shutt"'), encoding="utf-8")
    ran = ask("machines", "deploy", str(file))
    assert ran.exit_code == 1
    assert "'shutt'" in ran.stderr
    assert "Did you mean 'shut'" in ran.stderr
    assert ran.stdout == ""


def test_deploying_a_file_without_a_machine_asks_no_server(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "demo.py"
    file.write_text("print('hello')\n", encoding="utf-8")
    ran = run("machines", "deploy", str(file))
    assert ran.exit_code == 1
    assert "`machine`" in ran.stderr


def test_machines_are_listed_with_their_current_version(ask: Run) -> None:
    machines = ask("machines", "list", "--json").json
    current = {machine["slug"]: machine["currentVersion"]["id"] for machine in machines if "currentVersion" in machine}
    assert current["door"] in ask("machines", "list").stdout


def test_a_command_that_is_run_again_with_its_key_does_nothing_more(ask: Run) -> None:
    birth = ("--idempotency-key", "order-17-made", "--json")
    key = ("--idempotency-key", "order-17-paid", "--json")
    created = [ask("instances", "create", "door", "keyed", *birth).json for _ in range(2)]
    sent = [ask("instances", "send", "door", "keyed", "OPEN", *key).json for _ in range(2)]
    other = ask("instances", "send", "door", "keyed", "SHUT", *key)
    nameless = ask("instances", "create", "door", *key)
    blank = ask("instances", "send", "door", "keyed", "OPEN", "--idempotency-key", "schl\u00fcssel 1")

    assert created[0] == created[1]
    assert sent[0] == sent[1]
    assert len(ask("instances", "history", "door", "keyed", "--json").json) == 2
    assert (other.exit_code, "take a fresh one" in other.stderr) == (1, True)
    assert (nameless.exit_code, "give INSTANCE too" in nameless.stderr) == (1, True)
    assert (blank.exit_code, "255 printable ASCII characters" in blank.stderr) == (1, True)


def test_a_machine_is_created_once_and_deleted_for_ever(ask: Run) -> None:
    assert ask("machines", "create", "empty", "--index", "owner", "--json").json == {"slug": "empty"}
    again = ask("machines", "create", "empty")
    assert again.exit_code == 1
    assert ask("machines", "get", "empty", "--json").json["indexes"] == ["owner"]
    assert ask("machines", "delete", "empty", "--yes", "--json").json == {"slug": "empty", "deleted": True}
    assert ask("machines", "get", "empty").exit_code == 1


def test_deleting_asks_first_and_does_nothing_without_a_yes(ask: Run, name: str) -> None:
    ask("instances", "create", "door", name)
    ran = ask("instances", "delete", "door", name)
    assert ran.exit_code == 1
    assert "for ever?" in ran.stderr
    assert ask("instances", "get", "door", name).exit_code == 0


def test_an_instance_lives_from_creation_to_deletion(ask: Run, name: str) -> None:
    created = ask("instances", "create", "door", name, "--context", '{"more": 1}', "--json").json
    assert (created["state"], created["tags"], created["done"]) == ("shut", ["safe"], False)
    opened = ask("instances", "send", "door", name, "OPEN", "--json").json
    assert (opened["state"], opened["publicContext"]) == ("open", {"opened": 1})
    assert ask("instances", "get", "door", name, "--json").json == opened
    whole = ask("instances", "inspect", "door", name, "--json").json
    assert whole["context"] == {"public": {"opened": 1}, "secret": "under the mat", "more": 1}
    history = ask("instances", "history", "door", name, "--json").json
    assert [entry["state"] for entry in history] == ["shut", "open"]
    assert name in [instance["slug"] for instance in ask("instances", "list", "door", "--json").json]
    assert ask("instances", "delete", "door", name, "--yes", "--json").json == {"slug": name, "deleted": True}
    assert ask("instances", "get", "door", name).exit_code == 1


def test_people_see_name_state_tags_and_public_context(ask: Run, name: str) -> None:
    shown = ask("instances", "create", "door", name).stdout
    assert f"door/{name}  shut" in shown
    assert "tags: safe" in shown
    assert '{"opened":0}' in shown
    assert "under the mat" not in shown


def test_people_see_all_of_an_instance_when_they_inspect_it(ask: Run, name: str) -> None:
    ask("instances", "create", "door", name)
    shown = ask("instances", "inspect", "door", name).stdout
    assert "under the mat" in shown
    assert "running" in shown


def test_people_see_the_history_in_order(ask: Run, name: str) -> None:
    ask("instances", "create", "door", name)
    ask("instances", "send", "door", name, "OPEN", "--data", '{"by": "me"}')
    shown = ask("instances", "history", "door", name).stdout
    assert shown.index("shut") < shown.index('{"type":"OPEN","by":"me"}')


def test_an_instance_without_a_name_gets_a_fresh_one(ask: Run) -> None:
    first, second = (ask("instances", "create", "door").stdout.split()[0] for _ in range(2))
    assert first != second
    assert ask("instances", "get", *first.split("/")).exit_code == 0


def test_lists_are_cut_at_their_limit(ask: Run, name: str) -> None:
    for number in range(3):
        ask("instances", "create", "door", f"{name}{number}")
    assert len(ask("instances", "list", "door", "--limit", "2", "--json").json) == 2


def test_an_empty_list_says_so_beside_the_answer(ask: Run) -> None:
    ask("machines", "create", "lonely")
    ran = ask("instances", "list", "lonely")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "none yet" in ran.stderr
    assert ask("instances", "list", "lonely", "--json").json == []


def test_a_paused_instance_refuses_events_until_it_is_resumed(ask: Run, name: str) -> None:
    ask("instances", "create", "door", name)
    assert ask("instances", "pause", "door", name, "--json").json == {"slug": name, "status": "paused"}
    refused = ask("instances", "send", "door", name, "OPEN")
    assert refused.exit_code == 1
    assert "paused" in refused.stderr
    ask("instances", "resume", "door", name)
    assert ask("instances", "send", "door", name, "OPEN", "--json").json["state"] == "open"


def test_watching_a_done_instance_shows_it_and_ends(ask: Run, name: str) -> None:
    ask("instances", "create", "door", name)
    ask("instances", "send", "door", name, "BURN")
    ran = ask("instances", "watch", "door", name, "--json")
    assert ran.exit_code == 0
    assert (ran.json["state"], ran.json["done"]) == ("ashes", True)


def test_watching_what_is_not_there_is_an_error(ask: Run) -> None:
    ran = ask("instances", "watch", "door", "nobody")
    assert ran.exit_code == 1
    assert "door/nobody" in ran.stderr


def test_keys_are_created_listed_without_secret_and_deleted(ask: Run) -> None:
    created = ask("keys", "create", "reader", "--scope", "state.read", "--json").json
    listed = {key["id"]: key for key in ask("keys", "list", "--json").json}
    assert listed[created["id"]]["scopes"] == ["state.read"]
    assert created["key"] not in ask("keys", "list").stdout
    assert ask("keys", "delete", created["id"], "--json").json == {"id": created["id"], "deleted": True}
    assert created["id"] not in {key["id"] for key in ask("keys", "list", "--json").json}


def test_a_new_key_is_printed_as_variables_that_the_commands_read(ask: Run, run: Run, server: LiveServer) -> None:
    lines = ask("keys", "create", "ci", "--use", "ci").stdout.split()
    environment = dict(line.split("=", 1) for line in lines)
    assert set(environment) == {"PERDURE_KEY_ID", "PERDURE_KEY_SECRET"}
    assert run("machines", "list", PERDURE_URL=server.url, **environment).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["keys", "create", "k"], "--use production"),
        (["keys", "create", "k", "--use", "ci", "--scope", "state.read"], "not both"),
        (["keys", "create", "k", "--scope", "everything"], "no such scope: everything"),
    ],
)
def test_a_key_needs_to_be_told_what_it_may_do(run: Run, arguments: list[str], said: str) -> None:
    ran = run(*arguments)
    assert ran.exit_code == 1
    assert said in ran.stderr


def test_a_token_signed_here_is_accepted_there(ask: Run, run: Run, server: LiveServer, name: str) -> None:
    ask("instances", "create", "door", name)
    token = ask("token", "--act", '{"sub": "me"}', "--sub", "me", "--expires-in", "90s").stdout.strip()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["act"], claims["sub"], claims["exp"] - claims["iat"]) == ({"sub": "me"}, "me", 90)
    assert run("instances", "get", "door", name, PERDURE_URL=server.url, PERDURE_TOKEN=token).exit_code == 0


def test_what_the_authoriser_refuses_is_an_error_with_a_hint(ask: Run, run: Run, server: LiveServer) -> None:
    token = ask("token", "--act", '{"sub": "stranger"}', "--json").json["token"]
    ran = run("instances", "create", "door", "theirs", "--url", server.url, "--token", token)
    assert ran.exit_code == 1
    assert "perdure token --act" in ran.stderr


def test_a_missing_scope_is_an_error_with_a_hint(ask: Run, run: Run, server: LiveServer) -> None:
    key = ask("keys", "create", "reader", "--scope", "state.read", "--json").json
    ran = run("machines", "list", "--url", server.url, "--key-id", key["id"], "--key-secret", key["key"])
    assert ran.exit_code == 1
    assert "machines.read" in ran.stderr
    assert "--scope" in ran.stderr


def test_a_wrong_token_is_an_error_with_a_hint(run: Run, server: LiveServer) -> None:
    ran = run("machines", "list", "--url", server.url, "--token", "nonsense")
    assert ran.exit_code == 1
    assert "--token" in ran.stderr


def test_a_server_that_is_not_there_is_an_error_that_names_it(run: Run) -> None:
    ran = run("machines", "list", "--url", "http://127.0.0.1:1", "--token", "t")
    assert ran.exit_code == 1
    assert "http://127.0.0.1:1" in ran.stderr
    assert "running" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_no_server_at_all_is_an_error_that_says_how_to_name_one(run: Run) -> None:
    ran = run("machines", "list")
    assert ran.exit_code == 1
    assert "perdure dev" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["machines", "get"],
        ["machines", "lst"],
        ["instances", "list", "door", "--limit", "0"],
        ["keys", "create", "k", "--use", "everything"],
        ["serve"],
        ["serve", "--store", "memory://", "--port", "70000"],
        ["nonsense"],
    ],
)
def test_wrong_usage_exits_with_2(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.exit_code == 2
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--store", "oracle://x"], "names no store"),
        (["serve", "--store", "sqlite:///x.db"], "openssl rand"),
        (["serve", "--store", "memory://"], "perdure dev"),
        (["dev", "nowhere"], "does not exist"),
        (["dev", "."], "no Python file"),
        (["keys", "create", "k", "--store", "sqlite:///x.db"], "openssl rand"),
    ],
)
def test_what_a_server_lacks_is_said_in_one_line(run: Run, arguments: list[str], said: str) -> None:
    ran = run(*arguments)
    assert ran.exit_code == 1
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_the_first_key_is_made_in_the_store_itself(run: Run, tmp_path: Path) -> None:
    store, master = f"sqlite:///{tmp_path}/x.db", {"PERDURE_MASTER_KEY": "m" * 40}
    created = run("keys", "create", "admin", "--store", store, "--json", **master).json
    (listed,) = run("keys", "list", "--store", store, "--json").json
    assert listed["id"] == created["id"]
    assert "org.keys.write" in listed["scopes"]
    production = run("keys", "create", "app", "--store", store, "--use", "production", "--json", **master).json
    assert run("keys", "delete", production["id"], "--store", store).exit_code == 0
    assert run("keys", "delete", production["id"], "--store", store).exit_code == 1
    assert len(run("keys", "list", "--store", store, "--json").json) == 1


def test_a_package_is_deployed_as_one_bundle_with_its_hash(ask: Run, tmp_path: Path) -> None:
    package = tmp_path / "hut"
    package.mkdir()
    (package / "__init__.py").write_text("from .door import allow_read, allow_write, machine\n", encoding="utf-8")
    (package / "door.py").write_text(DOOR, encoding="utf-8")
    first, second = (ask("machines", "deploy", str(package), "--json") for _ in range(2))
    assert first.json["slug"] == "hut"
    assert first.json["sha256"] == second.json["sha256"]
    assert len(first.json["sha256"]) == 64
    assert ask("instances", "create", "hut", "one", "--json").json["state"] == "shut"


def test_a_directory_that_is_no_package_is_refused_with_what_to_name(ask: Run, tmp_path: Path) -> None:
    folder = tmp_path / "loose"
    folder.mkdir()
    refused = ask("machines", "deploy", str(folder))
    assert refused.exit_code == 1
    assert "Name one machine file" in refused.stderr
