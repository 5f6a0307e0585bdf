"""The server: JSON-RPC over POST and over WebSocket, on the loopback interface unless told otherwise."""

import socket
import threading
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import ServerError
from foretell_evm.rpc.callers import ANY, LOCAL_PAGES, Callers
from foretell_evm.rpc.dispatch import BUSY, PARSE_FAILED, Dispatcher, encode
from foretell_evm.rpc.load import MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_MESSAGE_BYTES, Load, TooMuch, parse
from foretell_evm.rpc.websocket import Announcer, Connection

_FAREWELL_S: Final = 3


def make_app(chain: ForetellChain, callers: Callers = Callers()) -> Starlette:  # noqa: B008 - it is frozen
    """The ASGI application of a chain."""
    dispatcher, announcer, load = Dispatcher(chain), Announcer(chain), Load()

    async def converse(socket: WebSocket) -> None:
        if callers.refusal(socket.headers) is not None:
            await socket.close(1008)
            return
        await socket.accept()
        connection = Connection(chain, dispatcher, socket, load)
        announcer.listen(connection.news)
        try:
            await connection.serve()
        finally:
            announcer.forget(connection.news)

    routes = [http_door(dispatcher.respond_encoded, callers, load), WebSocketRoute("/", converse)]
    return Starlette(routes=routes, middleware=[_pages(callers)])


def http_door(respond: Callable[[Any], bytes | None], callers: Callers, load: Load) -> Route:
    """POST of one request or a batch; ``respond`` is called in a thread, for it may block."""

    async def answer(request: Request) -> Response:
        refusal = callers.refusal(request.headers)
        if refusal is not None:
            return Response(refusal, status_code=403)
        with load.holding() as claim:
            try:
                body = bytearray()
                async for part in request.stream():
                    claim(len(part))
                    body += part
                    if len(body) > MAX_BODY_BYTES:
                        return Response("request body too large", status_code=413)
                parsed = parse(bytes(body))
            except TooMuch:
                return _json(BUSY, 503)
            except ValueError:
                return _json(PARSE_FAILED, 400)
            except ClientDisconnect:
                return Response(status_code=400)
            response = await load.run(parsed, respond)
        return Response(status_code=204) if response is None else _encoded(response, 200)

    return Route("/", answer, methods=["POST"])


def _pages(callers: Callers) -> Middleware:
    """Tells browsers which pages may read the answers."""
    return Middleware(
        CORSMiddleware,
        allow_origins=sorted(callers.origins),
        allow_origin_regex=None if ANY in callers.origins else LOCAL_PAGES,
        allow_methods=["POST"],
        allow_headers=["content-type"],
    )


def _json(value: object, status: int) -> Response:
    return _encoded(encode(value), status)


def _encoded(content: bytes, status: int) -> Response:
    return Response(content, status_code=status, media_type="application/json")


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, so that a port in use is an error of ours before anything starts.

    Raises:
        ServerError: the address cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ServerError(f"cannot listen on {host}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        failure = ServerError(f"cannot listen on {host}:{port}: {error.strerror}")
        failure.hint = "another node may be running; choose another port with --port"
        raise failure from None
    return listener


def serve(
    chain: ForetellChain,
    listener: socket.socket,
    stop: threading.Event | None = None,
    callers: Callers = Callers(),  # noqa: B008 - it is frozen
) -> None:
    """Answer requests until interrupted, or until ``stop`` is set."""
    run(make_app(chain, callers), listener, stop)


def run(app: Starlette, listener: socket.socket, stop: threading.Event | None = None) -> None:
    """Serve an application as :func:`serve` does."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=_FAREWELL_S,
    )
    server = uvicorn.Server(config)
    if stop is not None:
        threading.Thread(target=_stop_on, args=(stop, server), daemon=True).start()
    server.run(sockets=[listener])


def _stop_on(stop: threading.Event, server: uvicorn.Server) -> None:
    stop.wait()
    server.should_exit = True
