"""What all tests share: the order they run in, and free use of sockets where processes really talk."""

from collections.abc import Iterator
from pathlib import Path
import signal
import socket
import threading

import pytest
import pytest_socket

ROOT = Path(__file__).parent.parent
END_TO_END = ROOT / "tests" / "e2e"
# As they are before the harness forbids to look names up.
_RESOLVERS = {name: getattr(socket, name) for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex")}
IN_HOME_ASSISTANT = ROOT / "tests" / "component"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put end-to-end tests last: they measure time and start whole systems."""
    for item in items:
        if item.path.is_relative_to(END_TO_END):
            item.add_marker("e2e")
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)


def pytest_sessionstart() -> None:
    """Hear Ctrl-C, and let child processes hear it, also where a shell started the tests in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def ended_databases() -> Iterator[None]:
    """Wait for the threads of closed databases: they end a moment after saying so, and the harness wants none left."""
    yield
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join(5)


@pytest.fixture(autouse=True)
def real_sockets(request: pytest.FixtureRequest) -> None:
    """Lift the harness's ban on sockets, except for tests inside Home Assistant (they ask for `socket_enabled`)."""
    if not request.path.is_relative_to(IN_HOME_ASSISTANT):
        pytest_socket._remove_restrictions()
        for name, function in _RESOLVERS.items():
            setattr(socket, name, function)


@pytest.fixture
def hass_config_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give each Home Assistant a folder of its own: the harness's is one for all, and two that start write in it."""
    return str(tmp_path_factory.mktemp("home_assistant"))
