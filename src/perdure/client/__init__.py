"""Python clients of a perdure server: ``AsyncClient`` for coroutines, ``Client`` for blocking code.

One core (``operations``) says what to send and what an answer means; the two faces only carry it over the network.
"""

from perdure.client.async_client import AsyncClient
from perdure.client.exchange import TokenSource
from perdure.client.sync_client import Client

__all__ = ["AsyncClient", "Client", "TokenSource"]
