"""The server: JSON-RPC over POST and over WebSocket, on the loopback interface unless told otherwise."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import ServerError
from foretell_evm.rpc.callers import ANY, LOCAL_PAGES, Callers
from foretell_evm.rpc.dispatch import BUSY, PARSE_FAILED, Dispatcher, encode
from foretell_evm.rpc.load import MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_MESSAGE_BYTES, Load, TooMuch, parse
from foretell_evm.rpc.websocket import Announcer, Connection

_FAREWELL_S: Final = 3
_TEXT: Final = b"text/plain; charset=utf-8"


def make_app(chain: ForetellChain, callers: Callers = Callers()) -> ASGIApp:  # noqa: B008 - it is frozen
    """The ASGI application of a chain: both doors."""
    dispatcher, announcer, load = Dispatcher(chain), Announcer(chain), Load()
    post = http_door(dispatcher.respond_encoded, callers, load)

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

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await converse(WebSocket(scope, receive, send))
        else:
            await post(scope, receive, send)

    return app


def http_door(respond: Callable[[Any], bytes | None], callers: Callers, load: Load) -> ASGIApp:
    """POST of one request or a batch; ``respond`` is called in a thread, for it may block.

    Plain ASGI: the layers of a framework would take longer than most methods do.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _refusal(scope, callers)
        if refusal is not None:
            await _send(send, *refusal, _TEXT)
            return
        with load.holding() as claim:
            try:
                request = parse(await _body(receive, claim))
            except _TooLarge:
                await _send(send, 413, b"request body too large", _TEXT)
            except TooMuch:
                await _send(send, 503, encode(BUSY))
            except ValueError:
                await _send(send, 400, encode(PARSE_FAILED))
            except ClientDisconnect:
                return
            else:
                response = await load.run(request, respond)
                await _send(send, 204 if response is None else 200, response or b"")

    pages = _for_pages(answer, callers)

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        # Browsers alone send an origin, and need to be told who may read the answer.
        is_page = any(name == b"origin" for name, _ in scope["headers"])
        await (pages if is_page else answer)(scope, receive, send)

    return door


def _refusal(scope: Scope, callers: Callers) -> tuple[int, bytes] | None:
    """Status and text for a request that no method is called for; ``None`` for any other."""
    if scope["path"] != "/":
        return 404, b"JSON-RPC is at /"
    if scope["method"] != "POST":
        return 405, b"JSON-RPC is sent by POST"
    refusal = callers.refusal(Headers(scope=scope))
    return None if refusal is None else (403, refusal.encode())


class _TooLarge(Exception):
    """The body is longer than any may be."""


async def _body(receive: Receive, claim: Callable[[int], None]) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part, more = message.get("body", b""), message.get("more_body", False)
        claim(len(part))
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise _TooLarge
    return bytes(body)


async def _send(send: Send, status: int, content: bytes, kind: bytes = b"application/json") -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(content))] if content else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _for_pages(app: ASGIApp, callers: Callers) -> ASGIApp:
    """Tells browsers which pages may read the answers."""
    return CORSMiddleware(
        app,
        allow_origins=sorted(callers.origins),
        allow_origin_regex=None if ANY in callers.origins else LOCAL_PAGES,
        allow_methods=["POST"],
        allow_headers=["content-type"],
    )


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


class _JoiningTransport:
    """Writes at once what is written in one turn of the event loop."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> None:
        if not self._parts:
            asyncio.get_running_loop().call_soon(self._flush)
        self._parts.append(part)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.writelines(parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _OneWrite(HttpToolsProtocol):
    """uvicorn's, but an answer leaves with its head: each write wakes the client, and that takes long."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(_JoiningTransport(transport))  # type: ignore[arg-type]


def serve(
    chain: ForetellChain,
    listener: socket.socket,
    stop: threading.Event | None = None,
    callers: Callers = Callers(),  # noqa: B008 - it is frozen
) -> None:
    """Answer requests until interrupted, or until ``stop`` is set."""
    run(make_app(chain, callers), listener, stop)


def run(app: ASGIApp, listener: socket.socket, stop: threading.Event | None = None) -> None:
    """Serve an application as :func:`serve` does."""
    config = uvicorn.Config(
        app,
        http=_OneWrite,
        log_level="warning",
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
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
