"""Secrets at rest: how the secret of a key lies in the store.

A stolen database must not be able to sign tokens, so the store only ever sees sealed secrets: AES-256-GCM under a key
derived from the server's master key. The seal is bound to the id of the key it belongs to, so that a sealed secret that
is moved to another row does not open. Losing the master key loses every key secret; nothing else depends on it.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from perdure.durable.records import KeyRecord
from perdure.entropy import Entropy
from perdure.errors import InvalidParameter, PerdureError
from perdure.tokens import KeyPair, new_key_pair

__all__ = ["MASTER_KEY_BYTES_MIN", "SecretBox", "SecretUnreadable", "new_key"]

MASTER_KEY_BYTES_MIN = 32

_FORMAT = b"\x01"
_NONCE_BYTES = 12


class SecretUnreadable(PerdureError):
    """A sealed secret does not open: another master key sealed it, or the record was changed."""

    code = "secret-unreadable"


class SecretBox:
    """Seals and opens secrets with the server's master key."""

    def __init__(self, master_key: bytes, entropy: Entropy) -> None:
        """Raises ``InvalidParameter`` when the master key is too short to be one."""
        if len(master_key) < MASTER_KEY_BYTES_MIN:
            raise InvalidParameter(
                f"the master key has {len(master_key)} bytes; it needs {MASTER_KEY_BYTES_MIN} random ones or more",
                "master_key",
            )
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"perdure: secrets at rest").derive(master_key)
        self._cipher = AESGCM(derived)
        self._entropy = entropy

    def seal(self, secret: str, *, owner: str) -> bytes:
        """The secret as it may lie on disk; it opens for the same ``owner`` only."""
        # Entropy gives text; its digest is as unguessable, and has the bytes that a nonce needs.
        nonce = hashlib.sha256(self._entropy.secret().encode()).digest()[:_NONCE_BYTES]
        return _FORMAT + nonce + self._cipher.encrypt(nonce, secret.encode(), owner.encode())

    def open(self, sealed: bytes, *, owner: str) -> str:
        """The secret that was sealed. Raises ``SecretUnreadable``."""
        if sealed[:1] != _FORMAT:
            raise SecretUnreadable(f"the secret of {owner} is sealed in a format that this release does not read")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, owner.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadable(
                f"the secret of {owner} does not open: was it sealed with another master key?"
            ) from error


def new_key(
    *, org: str, name: str, scopes: tuple[str, ...], now: float, entropy: Entropy, secret_box: SecretBox
) -> tuple[KeyRecord, KeyPair]:
    """A fresh key: the record for the store, and the pair to be shown once."""
    pair = new_key_pair(entropy)
    record = KeyRecord(
        id=pair.id,
        org=org,
        name=name,
        scopes=scopes,
        sealed_secret=secret_box.seal(pair.secret, owner=pair.id),
        created_at=now,
    )
    return record, pair
