"""Serves the page in the relayer's own event loop: when that does not turn, it does not answer."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

import structlog
import uvicorn

from foretell_relayer.config import parse_listener
from foretell_relayer.errors import BadSetting
from foretell_relayer.web.app import Page, make_app

log = structlog.get_logger(__name__)

CONNECTIONS: Final = 32
_FAREWELL_SECONDS: Final = 1


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The command line handles signals."""
        yield


@contextlib.asynccontextmanager
async def serving(page: Page, listener: str | None, names: Sequence[str]) -> AsyncIterator[None]:
    """Serve the page while the block runs; not at all where no ``listener`` is given.

    Raises:
        BadSetting: the address cannot be listened on.
    """
    if listener is None:
        yield
        return
    with _listen(listener) as bound:
        host, port = bound.getsockname()[:2]
        config = uvicorn.Config(
            make_app(page, [host, *names]),
            access_log=False,
            lifespan="off",
            log_config=None,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=_FAREWELL_SECONDS,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[bound]), name="http")
        log.info("page", url=f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([task])


@contextlib.contextmanager
def _listen(listener: str) -> Iterator[socket.socket]:
    host, port = parse_listener(listener)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
            bound.listen()
        except OSError as error:
            raise BadSetting(f"--http {listener}: {error.strerror or error}") from None
        yield bound
