"""A proxy before a node that fails, delays, truncates, forgets and lies, by seed or by order."""

import http.client
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Lie = Callable[[str, list[Any], Any], Any]
"""From a method, its parameters and its true result to what the proxy says instead."""

FAULTS = (
    "reset",
    "lost_answer",
    "slow",
    "status_429",
    "status_503",
    "truncated",
    "html",
    "wrong_id",
    "error",
)


class ChaosProxy:
    """An HTTP proxy for JSON-RPC on a port of 127.0.0.1.

    ``probability`` makes any call fail in one of ``FAULTS``, drawn from ``seed``; ``orders`` fail the next
    calls of a method in a certain way; ``lie`` changes results. ``calls`` counts what was asked.
    """

    def __init__(self, target: int, seed: int = 0, probability: float = 0.0) -> None:
        self.probability = probability
        self.orders: dict[str, list[str]] = {}
        self.lie: Lie | None = None
        self.calls = 0
        self.struck: list[str] = []
        self._target = target
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault_for(self, method: str) -> str | None:
        """What happens to the next call of a method."""
        with self._lock:
            self.calls += 1
            fault = self.orders[method].pop(0) if self.orders.get(method) else None
            if fault is None and self._chance.random() < self.probability:
                fault = self._chance.choice(FAULTS)
            if fault is not None:
                self.struck.append(fault)
            return fault

    def forward(self, body: bytes) -> bytes:
        """Ask the node."""
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=30)
        try:
            connection.request("POST", "/", body, {"content-type": "application/json"})
            return connection.getresponse().read()
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    proxy: ChaosProxy
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that went away is none of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _proxy(self) -> ChaosProxy:
        return self.server.proxy  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        call = json.loads(body)
        method = call["method"] if isinstance(call, dict) else "batch"
        fault = self._proxy.fault_for(method)
        if fault == "reset":
            self._reset()
            return
        if fault in ("status_429", "status_503"):
            self._say(int(fault[-3:]), b"slow down")
            return
        answer = self._proxy.forward(body)
        if fault == "lost_answer":
            self._reset()
        elif fault == "truncated":
            self._say(200, answer[: len(answer) // 2])
        elif fault == "html":
            self._say(200, b"<html>502 Bad Gateway</html>")
        else:
            self._say(200, self._changed(call, answer, fault))

    def _changed(self, call: Any, answer: bytes, fault: str | None) -> bytes:
        if fault == "slow":
            time.sleep(0.5)
        told = json.loads(answer)
        if fault == "wrong_id":
            told["id"] = 987_654_321
        if fault == "error":
            told = {
                "jsonrpc": "2.0",
                "id": call["id"],
                "error": {"code": -32005, "message": "limit exceeded"},
            }
        if self._proxy.lie is not None and isinstance(told, dict) and "result" in told:
            told["result"] = self._proxy.lie(call["method"], call.get("params", []), told["result"])
        return json.dumps(told).encode()

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Nothing."""
