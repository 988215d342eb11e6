"""The master key is changed while everything that was sealed stays readable, wherever the change breaks off."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from perdure.bootstrap import ensure_default_org, find_master_key, make_master_key, open_store, require_master_key
from perdure.cli.master_key import rotate_master_key
from perdure.clock import SystemClock
from perdure.durable.records import IdentityProviderRecord
from perdure.entropy import SystemEntropy
from perdure.errors import InvalidParameter
from perdure.server.secrets import SecretBox, SecretUnreadable, new_key
from perdure.tokens import KeyPair

IDP = "idp_1"
IDP_SECRET = "a secret of theirs"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/app.db"


async def fill(url: str, master_key: bytes) -> KeyPair:
    """A store with a key and an identity provider, both sealed."""
    box = SecretBox(master_key, SystemEntropy())
    async with open_store(url) as store:
        org = await ensure_default_org(store, SystemClock())
        record, pair = new_key(org=org, name="k", scopes=(), now=1.0, entropy=SystemEntropy(), secret_box=box)
        await store.create_key(record)
        provider = IdentityProviderRecord(
            id=IDP,
            org=org,
            aud="a",
            iss=None,
            algs=("HS256",),
            mapping={},
            sealed_key=box.seal(IDP_SECRET, owner=IDP),
            created_at=1.0,
        )
        await store.put_identity_provider(provider)
    return pair


async def opened(url: str, master_key: bytes) -> dict[str, str]:
    """Every secret of the store. Raises ``SecretUnreadable``."""
    box = SecretBox(master_key, SystemEntropy())
    async with open_store(url) as store:
        return {secret.owner: box.open(secret.sealed, owner=secret.owner) for secret in await store.sealed_secrets()}


async def test_every_secret_is_sealed_for_the_new_key_and_opens_with_the_old_one_no_more(
    url: str, tmp_path: Path
) -> None:
    old = make_master_key(url, SystemEntropy())
    pair = await fill(url, old)

    assert await rotate_master_key(url, SystemEntropy(), {}) == 2

    new = require_master_key(url)
    assert new != old
    assert await opened(url, new) == {pair.id: pair.secret, IDP: IDP_SECRET}
    with pytest.raises(SecretUnreadable):
        await opened(url, old)
    key_file = tmp_path / "app.db.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("app.db.key*")) == ["app.db.key"]


async def test_a_rotation_that_broke_off_before_the_store_changed_is_finished_by_the_next(
    url: str, tmp_path: Path
) -> None:
    pair = await fill(url, make_master_key(url, SystemEntropy()))
    (tmp_path / "app.db.key.new").write_text("the next master key, of which the store knows nothing\n")

    with pytest.raises(InvalidParameter, match="rotate-master"):
        require_master_key(url)
    await rotate_master_key(url, SystemEntropy(), {})

    assert await opened(url, require_master_key(url)) == {pair.id: pair.secret, IDP: IDP_SECRET}


async def test_a_rotation_that_broke_off_after_the_store_changed_is_finished_by_the_next(
    url: str, tmp_path: Path
) -> None:
    old = make_master_key(url, SystemEntropy())
    pair = await fill(url, old)
    await rotate_master_key(url, SystemEntropy(), {})
    key_file = tmp_path / "app.db.key"
    key_file.rename(tmp_path / "app.db.key.new")
    key_file.write_bytes(old + b"\n")
    key_file.chmod(0o600)

    await rotate_master_key(url, SystemEntropy(), {})

    assert await opened(url, require_master_key(url)) == {pair.id: pair.secret, IDP: IDP_SECRET}


async def test_a_half_written_next_key_is_written_anew(url: str, tmp_path: Path) -> None:
    pair = await fill(url, make_master_key(url, SystemEntropy()))
    (tmp_path / "app.db.key.new").write_text("half")

    await rotate_master_key(url, SystemEntropy(), {})

    assert await opened(url, require_master_key(url)) == {pair.id: pair.secret, IDP: IDP_SECRET}


async def test_nothing_changes_when_a_secret_opens_with_neither_key(url: str) -> None:
    await fill(url, b"a master key that was lost, of some length")
    old = make_master_key(url, SystemEntropy())

    with pytest.raises(SecretUnreadable):
        await rotate_master_key(url, SystemEntropy(), {})

    assert find_master_key(url, {}) == old
    assert set(await opened(url, b"a master key that was lost, of some length")) >= {IDP}


async def test_a_master_key_from_the_environment_is_followed_by_one_from_there(url: str) -> None:
    old, new = "o" * 40, "n" * 40
    pair = await fill(url, old.encode())
    environment = {"PERDURE_MASTER_KEY": old}

    with pytest.raises(InvalidParameter, match="PERDURE_NEW_MASTER_KEY"):
        await rotate_master_key(url, SystemEntropy(), environment)
    await rotate_master_key(url, SystemEntropy(), {**environment, "PERDURE_NEW_MASTER_KEY": new})

    assert (await opened(url, new.encode()))[pair.id] == pair.secret


async def test_without_a_master_key_there_is_nothing_to_change(url: str) -> None:
    with pytest.raises(InvalidParameter, match="no master key"):
        await rotate_master_key(url, SystemEntropy(), {})


def test_the_command_says_how_many_secrets_it_sealed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from perdure.cli import app

    monkeypatch.delenv("PERDURE_MASTER_KEY", raising=False)
    asyncio.run(fill(url, make_master_key(url, SystemEntropy())))
    ran = CliRunner().invoke(app, ["keys", "rotate-master", "--store", url])

    assert ran.exit_code == 0, ran.output
    assert "2 secrets" in ran.output
