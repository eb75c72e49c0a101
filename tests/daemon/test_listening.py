"""A listener of the service that does not come up leaves nothing behind."""

import socket

import pytest
import uvicorn

from crmsync.daemon.calls import Failure
from crmsync.daemon.listening import Listener


async def nobody(scope: object, receive: object, send: object) -> None:
    """Nothing is answered."""


def test_one_that_does_not_start_says_so_at_once_and_gives_its_address_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    door, broken = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    broken.close()
    listener = Listener(
        "status page", uvicorn.Config(nobody, lifespan="off", log_config=None), [door, broken]
    )
    with pytest.raises(Failure, match="the status page does not answer"):
        listener.start()
    assert door.fileno() == -1
    assert [r.levelname for r in caplog.records if getattr(r, "action", "") == "listener.defect"] == ["ERROR"]
