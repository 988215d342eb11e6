"""How commands find a server and a key."""

from __future__ import annotations

import inspect
from pathlib import Path

import jwt
import msgspec
import pytest

from perdure.cli.connection import DEV_FILE, DevConnection, Session, connected, read_dev_connection
from perdure.errors import InvalidParameter

DEV = DevConnection(url="http://127.0.0.1:1", org="org_1", key_id="sbk_dev", key_secret="sbsec_dev" * 4, token="t")


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def leave(connection: DevConnection) -> None:
    DEV_FILE.parent.mkdir()
    DEV_FILE.write_bytes(msgspec.json.encode(connection))


def session(
    url: str | None = None, token: str | None = None, key_id: str | None = None, key_secret: str | None = None
) -> Session:
    return Session(url=url, token=token, key_id=key_id, key_secret=key_secret, profile=None, as_json=False)


def connection_of(made: Session) -> tuple[str, str]:
    """The URL, and the token that a request would carry."""
    url, token = made._connection()
    return url, token() if callable(token) else str(token)


def test_flags_come_before_the_development_server() -> None:
    leave(DEV)
    assert connection_of(session(url="http://other", token="given")) == ("http://other", "given")


def test_without_flags_the_development_server_of_the_directory_is_meant() -> None:
    leave(DEV)
    url, token = connection_of(session())
    assert url == DEV.url
    assert jwt.get_unverified_header(token)["kid"] == "sbk_dev"
    assert jwt.decode(token, options={"verify_signature": False})["act"] == {"sub": "dev"}


def test_a_given_key_signs_a_token_that_acts_as_nobody() -> None:
    _, token = connection_of(session(url="http://other", key_id="sbk_1", key_secret="sbsec_1" * 8))
    assert jwt.get_unverified_header(token)["kid"] == "sbk_1"
    assert jwt.decode(token, options={"verify_signature": False})["act"] == {}


def test_the_development_key_is_not_shown_to_another_server() -> None:
    leave(DEV)
    with pytest.raises(InvalidParameter, match="no token and no key"):
        connection_of(session(url="http://other"))


def test_no_server_is_an_error_that_says_how_to_name_one() -> None:
    with pytest.raises(InvalidParameter, match="PERDURE_URL"):
        connection_of(session())


def test_a_token_for_no_server_is_an_error_that_says_how_to_use_the_one_of_a_profile() -> None:
    with pytest.raises(InvalidParameter, match="--profile"):
        connection_of(session(token="given"))


@pytest.mark.parametrize(
    ("key_id", "key_secret", "missing"), [("sbk_1", None, "--key-secret"), (None, "sbsec_1", "--key-id")]
)
def test_half_a_key_is_an_error_that_names_the_other_half(
    key_id: str | None, key_secret: str | None, missing: str
) -> None:
    leave(DEV)
    with pytest.raises(InvalidParameter, match=missing):
        session(key_id=key_id, key_secret=key_secret).signing_key()


def test_a_damaged_development_file_is_an_error_that_says_what_to_do() -> None:
    DEV_FILE.parent.mkdir()
    DEV_FILE.write_text("{", encoding="utf-8")
    with pytest.raises(InvalidParameter, match="Remove it"):
        read_dev_connection()


def test_connected_commands_take_the_connection_options_beside_their_own() -> None:
    seen: list[object] = []

    @connected
    def command(session: Session, name: str, flag: bool = False) -> None:
        seen.extend([session.out.as_json, name, flag])

    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["name", "flag", "url", "token", "key_id", "key_secret", "profile", "as_json"]
    command(name="n", flag=True, url=None, token=None, key_id=None, key_secret=None, profile=None, as_json=True)
    assert seen == [True, "n", True]
