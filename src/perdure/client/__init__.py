"""Python clients of a perdure server: ``AsyncClient`` for coroutines, ``Client`` for blocking code.

One core (``operations``, ``carrying``, ``watching``) says what to send, what an answer means and when to try again; the
two faces only carry it over the network.
"""

from perdure.client.async_client import AsyncClient
from perdure.client.async_live import AsyncActor
from perdure.client.carrying import Retries
from perdure.client.credentials import Anonymous, TokenExchange, TokenSource
from perdure.client.sync_client import Client
from perdure.client.sync_live import Actor, Subscription

__all__ = [
    "Actor",
    "Anonymous",
    "AsyncActor",
    "AsyncClient",
    "Client",
    "Retries",
    "Subscription",
    "TokenExchange",
    "TokenSource",
]
