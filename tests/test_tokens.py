"""Keys and tokens, without a server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from datetime import timedelta

import jwt
import pytest

from perdure.entropy import SystemEntropy
from perdure.errors import InvalidParameter, InvalidToken
from perdure.tokens import AUDIENCE, KEY_USES, SCOPES, new_key_pair, sign_token, token_key_id, verify_token

NOW = 1_767_323_045_678.0
HOUR = timedelta(hours=1)
SECRET = "sbsec_0123456789abcdefghijklmnopqrstuvwxyz"


def decoded(part: str) -> dict[str, object]:
    result: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return result


def test_a_token_has_the_header_and_the_claims_of_the_contract() -> None:
    token = sign_token("sbk_1", SECRET, {"sub": "ada"}, now=NOW, expires_in=HOUR)

    header, claims, signature = token.split(".")
    assert decoded(header) == {"alg": "HS256", "kid": "sbk_1"}
    assert decoded(claims) == {
        "iss": "https://sbk_1.client.statebacked.dev/",
        "aud": "https://api.statebacked.dev/",
        "iat": 1_767_323_045,
        "exp": 1_767_323_045 + 3600,
        "act": {"sub": "ada"},
    }
    expected = hmac.new(SECRET.encode(), f"{header}.{claims}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == expected


def test_issuer_and_subject_can_be_given() -> None:
    token = sign_token("sbk_1", SECRET, {}, now=NOW, expires_in=HOUR, subject="ada", issuer="https://cli.example/")

    claims = decoded(token.split(".")[1])
    assert (claims["sub"], claims["iss"]) == ("ada", "https://cli.example/")


def test_a_signed_token_verifies_until_its_leeway_is_over() -> None:
    token = sign_token("sbk_1", SECRET, {"sub": "ada"}, now=NOW, expires_in=timedelta(seconds=1))

    claims = verify_token(token, SECRET, now=NOW, leeway=0)
    assert (claims.act, claims.subject, claims.expires_at) == ({"sub": "ada"}, None, 1_767_323_046_000)
    verify_token(token, SECRET, now=1_767_323_047_999, leeway=2_000)
    with pytest.raises(InvalidToken, match="expired"):
        verify_token(token, SECRET, now=1_767_323_048_000, leeway=2_000)


def test_a_token_signed_with_the_secret_without_its_prefix_is_refused() -> None:
    token = sign_token("sbk_1", SECRET.removeprefix("sbsec_"), {}, now=NOW, expires_in=HOUR)

    with pytest.raises(InvalidToken):
        verify_token(token, SECRET, now=NOW, leeway=0)


def test_a_secret_that_is_too_short_for_any_key_signs_nothing_and_is_named_with_its_key() -> None:
    with pytest.raises(InvalidParameter, match="the secret of the key sbk_1 is too short"):
        sign_token("sbk_1", "sbsec_pasted-in-part", {}, now=NOW, expires_in=HOUR)


def test_a_token_is_not_good_before_its_time() -> None:
    claims = {"aud": AUDIENCE, "exp": NOW / 1000 + 60, "nbf": NOW / 1000 + 10}
    token = jwt.encode(claims, SECRET, headers={"kid": "sbk_1"})

    verify_token(token, SECRET, now=NOW, leeway=10_000)
    with pytest.raises(InvalidToken, match="not valid yet"):
        verify_token(token, SECRET, now=NOW, leeway=9_000)


def test_the_key_of_a_token_is_read_before_it_is_verified() -> None:
    assert token_key_id(sign_token("sbk_1", SECRET, {}, now=NOW, expires_in=HOUR)) == "sbk_1"
    for rubbish in ("", "x", "a.b.c", jwt.encode({}, SECRET)):
        with pytest.raises(InvalidToken):
            token_key_id(rubbish)


def test_new_keys_have_their_prefixes_and_differ() -> None:
    first, second = new_key_pair(SystemEntropy()), new_key_pair(SystemEntropy())

    assert first != second
    prefix, _, encoded = first.id.partition("_")
    assert prefix == "sbk"
    uuid.UUID(bytes=base64.urlsafe_b64decode(encoded + "=="))
    assert first.secret.startswith("sbsec_")
    assert len(first.secret) >= len("sbsec_") + 43


def test_every_scope_of_a_use_exists() -> None:
    for scopes in KEY_USES.values():
        assert set(scopes) <= SCOPES
