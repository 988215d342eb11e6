"""An identity provider for tests: keys of every kind, tokens signed with them, and a key set behind a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

AUD = "https://shop.test/"
ISS = "https://idp.test/"
SHARED_SECRET = b"a shared secret that is long enough for every one of the HMAC algorithms there are."


@cache
def private_key(algorithm: str) -> Any:
    """One key per kind, made once per run: RSA keys take a while."""
    if algorithm.startswith("HS"):
        return SHARED_SECRET
    if algorithm.startswith("ES"):
        return ec.generate_private_key(
            {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[algorithm]
        )
    return _rsa_key() if algorithm[:2] in ("RS", "PS") else ed25519.Ed25519PrivateKey.generate()


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def configured_key(algorithm: str, *, as_der: bool = False) -> str:
    """The key as a provider is configured with it."""
    key = private_key(algorithm)
    if isinstance(key, bytes):
        return base64url(key)
    encoding = Encoding.DER if as_der else Encoding.PEM
    return base64url(key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo))


def public_jwk(key: Any, algorithm: str, **more: Any) -> dict[str, Any]:
    return {**json.loads(get_default_algorithms()[algorithm].to_jwk(key.public_key())), **more}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def subject_token(now: float, algorithm: str = "HS256", **changes: Any) -> str:
    """A token of the provider; ``None`` leaves a claim out, ``key`` and ``headers`` change how it is signed."""
    key = changes.pop("key") if "key" in changes else private_key(algorithm)
    headers = changes.pop("headers", None)
    claims = {"aud": AUD, "iss": ISS, "exp": now / 1000 + 60, "sub": "alice", "email": "a@shop.test", **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


@dataclass
class KeySetServer:
    """Serves a key set on loopback, and counts how often it is asked."""

    url: str = ""
    body: bytes = b'{"keys": []}'
    status: int = 200
    asked: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def set_keys(self, *keys: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": keys}).encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(self.body)}\r\n{more}connection: close\r\n\r\n"
        writer.write(head.encode() + self.body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def key_set_server() -> AsyncIterator[KeySetServer]:
    served = KeySetServer()
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
    async with server:
        yield served
