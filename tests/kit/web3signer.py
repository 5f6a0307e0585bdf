"""A small web3signer: a real HTTP server with the eth1 routes that its OpenAPI description publishes."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from eth_keys.datatypes import PrivateKey
from eth_utils import keccak

PREFIX = "/api/v1/eth1/"


class Web3Signer:
    """Signs the Keccak hash of what it is sent with one of its keys.

    ``answer`` replaces what it would say by a status and a body; ``signs_with`` makes it sign with another
    key than the one that it was asked for. ``asked`` are the paths of all requests.
    """

    def __init__(self, *keys: bytes, port: int = 0) -> None:
        self.keys = {_identifier(PrivateKey(key)): PrivateKey(key) for key in keys}
        self.answer: tuple[int, bytes] | None = None
        self.signs_with: PrivateKey | None = None
        self.asked: list[str] = []
        self._port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body for one request."""
        self.asked.append(path)
        if self.answer is not None:
            return self.answer
        if (method, path) == ("GET", "/upcheck"):
            return 200, b"OK"
        if (method, path) == ("GET", PREFIX + "publicKeys"):
            return 200, json.dumps(list(self.keys)).encode()
        if method == "POST" and path.startswith(PREFIX + "sign/"):
            return self._sign(path.removeprefix(PREFIX + "sign/"), body)
        return 404, b"Resource not found"

    def _sign(self, identifier: str, body: bytes) -> tuple[int, bytes]:
        key = self.keys.get(identifier)
        if key is None:
            return 404, b"Public Key not found"
        try:
            data = bytes.fromhex(json.loads(body)["data"].removeprefix("0x"))
        except (ValueError, KeyError, TypeError):
            return 400, b"Bad request format"
        v, r, s = (self.signs_with or key).sign_msg_hash(keccak(data)).vrs
        return 200, ("0x" + (r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + v])).hex()).encode()


def _identifier(key: PrivateKey) -> str:
    return "0x" + key.public_key.to_bytes().hex()


def _handler(signer: Web3Signer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            length = int(self.headers.get("content-length", 0))
            status, body = signer.reply(method, self.path, self.rfile.read(length))
            self.send_response(status)
            self.send_header("content-type", "text/plain; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler
