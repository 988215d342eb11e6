"""Providers and orgs on the command line, against a whole server."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run

AUD = ("--aud", "https://cli.test/")
MAPPING = ("--mapping", '{"sub.$": "$.sub"}')


def test_an_identity_provider_is_set_listed_and_deleted(ask: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"a shared secret of thirty-two bytes")
    made = ask("identity-providers", "set", "--alg", "HS256", *AUD, *MAPPING, "--key-file", str(secret), "--json")
    assert made.json == {"aud": "https://cli.test/", "iss": None, "set": True}
    listed = ask("identity-providers", "list", "--json").json
    assert {"aud": "https://cli.test/", "algs": ["HS256"], "mapping": {"sub.$": "$.sub"}} in listed
    assert "https://cli.test/" in ask("identity-providers", "list").stdout
    assert ask("identity-providers", "delete", *AUD).exit_code == 0
    assert ask("identity-providers", "delete", *AUD).exit_code == 1
    assert not [each for each in ask("identity-providers", "list", "--json").json if each.get("aud") == AUD[1]]


def test_a_wrong_identity_provider_is_refused_with_what_is_wrong(ask: Run) -> None:
    both = ask("identity-providers", "set", "--alg", "HS256", *AUD, *MAPPING)
    assert both.exit_code == 1
    assert "--jwks-url" in both.stderr
    no_file = ask("identity-providers", "set", "--alg", "HS256", *AUD, *MAPPING, "--key-file", "nowhere")
    assert "cannot read nowhere" in no_file.stderr
    plain = ask("identity-providers", "set", "--alg", "RS256", *AUD, *MAPPING, "--jwks-url", "http://idp.test/")
    assert plain.exit_code == 1
    assert "https" in plain.stderr


def test_a_token_provider_is_set_listed_and_deleted(ask: Run) -> None:
    key = ask("keys", "create", "cli", "--use", "production", "--json").json["id"]
    assert ask("token-providers", "set", "cli-app", "--key", key, *MAPPING).exit_code == 0
    listed = ask("token-providers", "list", "--json").json
    assert {"service": "cli-app", "keyId": key, "mapping": {"sub.$": "$.sub"}} in listed
    assert "cli-app" in ask("token-providers", "list").stdout
    assert ask("token-providers", "delete", "cli-app", "--json").json == {"service": "cli-app", "deleted": True}
    assert ask("token-providers", "delete", "cli-app").exit_code == 1


def test_orgs_are_listed_and_not_created_where_the_server_does_not_allow_it(ask: Run) -> None:
    assert [org["name"] for org in ask("orgs", "list", "--json").json] == ["default"]
    assert "default" in ask("orgs", "list").stdout
    refused = ask("orgs", "create", "More")
    assert refused.exit_code == 1
    assert "org creation" in refused.stderr
