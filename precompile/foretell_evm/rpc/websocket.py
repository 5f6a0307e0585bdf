"""The WebSocket door: the methods of the HTTP door, and subscriptions that the node serves by itself."""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from foretell_evm.chain import ForetellChain
from foretell_evm.rpc.dispatch import BUSY, PARSE_FAILED, Dispatcher, encode
from foretell_evm.rpc.load import Load, TooMuch, parse
from foretell_evm.rpc.subscriptions import Subscriptions

_AT_ONCE: Final = 16
"""Requests of one connection under way; it is not read from while there are more."""
_WAKE_S: Final = 1.0


class Announcer:
    """Wakes connections when the chain has news: one thread for all of them."""

    def __init__(self, chain: ForetellChain) -> None:
        self._chain = chain
        self._lock = threading.Lock()
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._thread: threading.Thread | None = None

    def listen(self, event: asyncio.Event) -> None:
        """Set ``event`` of the running loop at each change from now on."""
        with self._lock:
            self._listeners.add((asyncio.get_running_loop(), event))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
                self._thread.start()

    def forget(self, event: asyncio.Event) -> None:
        """Set it no more."""
        with self._lock:
            self._listeners.discard((asyncio.get_running_loop(), event))

    def _run(self) -> None:
        seen = -1
        while not self._chain.is_closed:
            now = self._chain.wait_for_change(seen, _WAKE_S)
            if now == seen:
                continue
            seen = now
            with self._lock:
                listeners = list(self._listeners)
            for loop, event in listeners:
                with suppress(RuntimeError):  # the server has stopped
                    loop.call_soon_threadsafe(event.set)


class Connection:
    """One client."""

    def __init__(self, chain: ForetellChain, dispatcher: Dispatcher, socket: WebSocket, load: Load) -> None:
        self._socket = socket
        self._load = load
        self._sending = asyncio.Lock()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self.news = asyncio.Event()
        self._subscriptions = Subscriptions(chain)
        self._dispatcher = dispatcher.with_methods(
            {
                "eth_subscribe": self._subscriptions.subscribe,
                "eth_unsubscribe": self._subscriptions.unsubscribe,
            }
        )

    async def serve(self) -> None:
        """Answer until the client goes."""
        tasks: set[asyncio.Task[None]] = {asyncio.create_task(self._push())}
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._room.acquire()
                task = asyncio.create_task(self._answer(_body(message)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        finally:
            for task in tasks:
                task.cancel()

    async def _answer(self, body: bytes) -> None:
        try:
            with self._load.holding() as claim:
                claim(len(body))
                response = await self._load.run(parse(body), self._dispatcher.respond_encoded)
            if response is not None:
                await self._send(response)
            self._subscriptions.activate()
            self.news.set()  # what came while a new subscription was silent
        except TooMuch:
            await self._send(encode(BUSY))
        except ValueError:
            await self._send(encode(PARSE_FAILED))
        finally:
            self._room.release()

    async def _push(self) -> None:
        while True:
            await self.news.wait()
            self.news.clear()
            for notification in await run_in_threadpool(self._subscriptions.news):
                await self._send(encode(notification))

    async def _send(self, text: bytes) -> None:
        async with self._sending:
            with suppress(WebSocketDisconnect, RuntimeError):  # the client is gone; `serve` notices
                await self._socket.send_text(text.decode())


def _body(message: Mapping[str, Any]) -> bytes:
    text = message.get("text")
    return text.encode() if text is not None else message.get("bytes") or b""
