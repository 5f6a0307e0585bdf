"""The server: JSON-RPC over POST and over WebSocket, on the loopback interface unless told otherwise."""

import socket
import threading

import uvicorn
from pydantic_core import from_json
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import ServerError
from foretell_evm.rpc.dispatch import PARSE_FAILED, Dispatcher
from foretell_evm.rpc.origins import LOOPBACK, is_allowed
from foretell_evm.rpc.websocket import Announcer, Connection

MAX_BODY_BYTES = 16 * 1024 * 1024
_FAREWELL_S = 3


def make_app(chain: ForetellChain) -> Starlette:
    """The ASGI application of a chain."""
    dispatcher = Dispatcher(chain)
    announcer = Announcer(chain)

    async def answer(request: Request) -> Response:
        if not is_allowed(request.headers):
            return Response("pages of other machines are not answered", status_code=403)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return Response("request body too large", status_code=413)
        try:
            # Not the json module: under the recursion limit that py-evm raises, deep nesting crashes it.
            parsed = from_json(bytes(body), allow_inf_nan=False)
        except ValueError:
            return JSONResponse(PARSE_FAILED, status_code=400)
        # Methods block: on a lock, or on an inference.
        response = await run_in_threadpool(dispatcher.respond, parsed)
        return Response(status_code=204) if response is None else JSONResponse(response)

    async def converse(socket: WebSocket) -> None:
        if not is_allowed(socket.headers):
            await socket.close(1008)
            return
        await socket.accept()
        connection = Connection(chain, dispatcher, socket)
        announcer.listen(connection.news)
        try:
            await connection.serve()
        finally:
            announcer.forget(connection.news)

    pages = Middleware(
        CORSMiddleware, allow_origin_regex=LOOPBACK, allow_methods=["POST"], allow_headers=["content-type"]
    )
    routes = [Route("/", answer, methods=["POST"]), WebSocketRoute("/", converse)]
    return Starlette(routes=routes, middleware=[pages])


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


def serve(chain: ForetellChain, listener: socket.socket, stop: threading.Event | None = None) -> None:
    """Answer requests until interrupted, or until ``stop`` is set."""
    config = uvicorn.Config(
        make_app(chain),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MAX_BODY_BYTES,
        timeout_graceful_shutdown=_FAREWELL_S,
    )
    server = uvicorn.Server(config)
    if stop is not None:
        threading.Thread(target=_stop_on, args=(stop, server), daemon=True).start()
    server.run(sockets=[listener])


def _stop_on(stop: threading.Event, server: uvicorn.Server) -> None:
    stop.wait()
    server.should_exit = True
