"""Fixtures: a control plane, and a fleet on it."""

import pytest

from harness import Fleet, Server, running


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """One server for tests that leave each other alone."""
    with running(Server(tmp_path_factory.mktemp("shared") / "data")) as server:
        yield server


@pytest.fixture
def server(tmp_path):
    """A server of its own, for tests that kill it or count what is in it."""
    with running(Server(tmp_path / "data")) as server:
        yield server


@pytest.fixture
def fleet(server, tmp_path):
    fleet = Fleet(server, tmp_path)
    yield fleet
    fleet.stop()
