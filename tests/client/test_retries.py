"""A client tries again what got no answer, and what it does happens once."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from perdure.client import AsyncClient, Client, Retries
from perdure.clock import SystemClock
from perdure.errors import ServerUnreachable
from perdure.tokens import sign_token
from tests.live_server import DOOR, LiveServer, live_server


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server() as running, Client(running.url, token_of(running)) as client:
        client.create_machine("door")
        client.deploy("door", DOOR, file_name="door.py", client_info="first")
        yield running


def token_of(server: LiveServer) -> str:
    now = SystemClock().now()
    return sign_token(server.key_id, server.key_secret, {"sub": "tester"}, now=now, expires_in=timedelta(hours=1))


def whole_message(peer: socket.socket) -> bytes:
    """One HTTP message, however many pieces it comes in."""
    data = b""
    while True:
        data += peer.recv(65536)
        head, end, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if end and len(body) >= (int(length[1]) if length else 0):
            return data


@contextmanager
def deaf_proxy(target: str, losses: int) -> Iterator[str]:
    """A way to a server on which the first answers get lost, though their requests arrive."""
    host, port = target.removeprefix("http://").split(":")
    listener = socket.create_server(("127.0.0.1", 0))
    left = losses

    def serve() -> None:
        nonlocal left
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller, socket.create_connection((host, int(port))) as server:
                server.sendall(whole_message(caller))
                answer = whole_message(server)
                if left:
                    left -= 1
                    continue
                caller.sendall(answer.replace(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n"))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An instance name that no other test uses."""
    return str(request.node.name)


def test_an_event_whose_answer_was_lost_is_sent_again_and_applied_once(server: LiveServer, name: str) -> None:
    with (
        deaf_proxy(server.url, 0) as url,
        Client(url, token_of(server), timeout_seconds=20, retries=Retries(attempts=3)) as client,
    ):
        client.create_instance("door", name)
    with (
        deaf_proxy(server.url, 2) as url,
        Client(url, token_of(server), timeout_seconds=20, retries=Retries(attempts=3)) as client,
    ):
        client.send("door", name, "OPEN")
    with Client(server.url, token_of(server)) as client:
        types = [transition.event["type"] for transition in client.list_transitions("door", name)]
    assert types == ["xstate.init", "OPEN"]


async def test_the_asynchronous_face_does_the_same_with_an_instance_it_creates(server: LiveServer, name: str) -> None:
    with deaf_proxy(server.url, 1) as url:
        async with AsyncClient(url, token_of(server), timeout_seconds=20, retries=Retries(attempts=2)) as client:
            state = await client.create_instance("door", name)
    assert not state.done


def test_nothing_is_tried_again_when_the_client_was_told_not_to(server: LiveServer, name: str) -> None:
    once = Retries(attempts=1)
    with deaf_proxy(server.url, 1) as url, Client(url, token_of(server), timeout_seconds=20, retries=once) as client:
        with pytest.raises(ServerUnreachable, match="may have taken effect"):
            client.create_instance("door", name)
        assert client.get_instance("door", name).state is not None


def test_a_change_that_could_happen_twice_is_never_tried_again(server: LiveServer) -> None:
    with (
        deaf_proxy(server.url, 1) as url,
        Client(url, token_of(server), timeout_seconds=20, retries=Retries(attempts=4)) as client,
        pytest.raises(ServerUnreachable),
    ):
        client.create_key("another", use="ci")
