"""The server that tests talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from echo import EchoServer


@pytest.fixture
def server() -> Iterator[EchoServer]:
    started = EchoServer()
    yield started
    started.close()
