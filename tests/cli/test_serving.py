"""The socket of a server, and what is in its way."""

from __future__ import annotations

import pytest

from perdure.cli.serving import listen
from perdure.errors import InvalidParameter


def test_an_address_of_another_machine_is_refused_with_the_option_to_change() -> None:
    elsewhere = "192.0.2.1"  # reserved for documents, so nobody's
    with pytest.raises(InvalidParameter, match="Choose another one with --host"):
        listen(elsewhere, 0)
