"""``perdure keys rotate-master``: another master key, and every secret sealed again for it.

The store changes all secrets in one durable write. Around that, the file with the master key is changed so that the
process may die anywhere: the next key lies beside the old one until the store has it, and a rotation that finds such a
file goes on with it. Secrets that the next key opens already are left as they are, so finishing twice is harmless.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.bootstrap import (
    MASTER_KEY_VARIABLE,
    find_master_key,
    fresh_master_key_path,
    master_key_path,
    open_store,
)
from perdure.entropy import Entropy
from perdure.errors import InvalidParameter

if TYPE_CHECKING:
    from perdure.server.secrets import SecretBox

__all__ = ["NEW_MASTER_KEY_VARIABLE", "rotate_master_key"]

NEW_MASTER_KEY_VARIABLE = "PERDURE_NEW_MASTER_KEY"


async def rotate_master_key(store_url: str, entropy: Entropy, environment: Mapping[str, str] = os.environ) -> int:
    """Seal every secret for another master key; how many there are.

    With the old key in the environment the new one comes from there too; otherwise a fresh one takes the place of the
    file beside the database. Raises ``InvalidParameter`` for keys that are missing, ``SecretUnreadable`` when neither
    key opens a secret, in which case nothing has changed, and ``StoreError`` while a server has the store open.
    """
    old = find_master_key(store_url, environment)
    if old is None:
        raise InvalidParameter(f"there is no master key for {store_url} that could be changed", "master_key")
    if MASTER_KEY_VARIABLE in environment:
        new = environment.get(NEW_MASTER_KEY_VARIABLE)
        if new is None:
            raise InvalidParameter(
                f"the master key comes from {MASTER_KEY_VARIABLE}: give the next one in {NEW_MASTER_KEY_VARIABLE}",
                "master_key",
            )
        return await _seal_again(store_url, old, new.encode(), entropy)
    path = master_key_path(store_url)
    assert path is not None, "a key that is not in the environment is in a file"
    fresh = fresh_master_key_path(path)
    if not fresh.exists() or not fresh.read_bytes().endswith(b"\n"):  # an unfinished one has sealed nothing
        fresh.unlink(missing_ok=True)
        _write(fresh, entropy.secret().encode())
    changed = await _seal_again(store_url, old, fresh.read_bytes().strip(), entropy)
    fresh.chmod(0o600)  # whoever made it
    fresh.replace(path)
    _sync(path.parent)
    return changed


async def _seal_again(store_url: str, old: bytes, new: bytes, entropy: Entropy) -> int:
    from perdure.durable.records import SealedSecret
    from perdure.server.secrets import SecretBox

    old_box, new_box = SecretBox(old, entropy), SecretBox(new, entropy)
    async with open_store(store_url) as store:
        secrets = await store.sealed_secrets()
        await store.replace_sealed_secrets(
            [
                SealedSecret(owner=secret.owner, sealed=_sealed_for(new_box, old_box, secret.sealed, secret.owner))
                for secret in secrets
            ]
        )
    return len(secrets)


def _sealed_for(new_box: SecretBox, old_box: SecretBox, sealed: bytes, owner: str) -> bytes:
    from perdure.server.secrets import SecretUnreadable

    try:
        new_box.open(sealed, owner=owner)
    except SecretUnreadable:
        return new_box.seal(old_box.open(sealed, owner=owner), owner=owner)
    return sealed


def _write(path: Path, key: bytes) -> None:
    """A file that only its owner may read, on the disk before anything is sealed for what is in it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key + b"\n")
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
