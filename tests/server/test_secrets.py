"""Secrets at rest."""

from __future__ import annotations

import pytest

from perdure.entropy import SystemEntropy
from perdure.errors import InvalidParameter
from perdure.server.secrets import SecretBox, SecretUnreadable

MASTER_KEY = b"a master key of thirty-two bytes"


def test_a_secret_opens_for_its_owner_alone() -> None:
    box = SecretBox(MASTER_KEY, SystemEntropy())
    sealed = box.seal("sbsec_ä", owner="sbk_1")

    assert box.open(sealed, owner="sbk_1") == "sbsec_ä"
    with pytest.raises(SecretUnreadable, match="sbk_2"):
        box.open(sealed, owner="sbk_2")


def test_a_secret_does_not_open_with_another_master_key() -> None:
    sealed = SecretBox(MASTER_KEY, SystemEntropy()).seal("sbsec_x", owner="sbk_1")

    with pytest.raises(SecretUnreadable, match="master key"):
        SecretBox(MASTER_KEY[::-1], SystemEntropy()).open(sealed, owner="sbk_1")


def test_a_secret_is_sealed_differently_every_time() -> None:
    box = SecretBox(MASTER_KEY, SystemEntropy())

    assert box.seal("sbsec_x", owner="sbk_1") != box.seal("sbsec_x", owner="sbk_1")


@pytest.mark.parametrize("place", [0, 1, 12, 13, -1])
def test_a_changed_seal_does_not_open(place: int) -> None:
    box = SecretBox(MASTER_KEY, SystemEntropy())
    sealed = bytearray(box.seal("sbsec_x", owner="sbk_1"))
    sealed[place] ^= 1

    with pytest.raises(SecretUnreadable):
        box.open(bytes(sealed), owner="sbk_1")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01short"])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SecretUnreadable):
        SecretBox(MASTER_KEY, SystemEntropy()).open(sealed, owner="sbk_1")


def test_a_short_master_key_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="32"):
        SecretBox(MASTER_KEY[1:], SystemEntropy())
