"""Nodes on loopback: a served chain, one that lies, and one that runs as a program of its own."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from foretell_evm.chain import ForetellChain
from foretell_evm.rpc.callers import Callers
from foretell_evm.rpc.dispatch import Dispatcher
from foretell_evm.rpc.http import bind, serve

Lie = Callable[[str, Any], Any]
"""Changes the result of a method."""

_GO = "from foretell_cli import main; main()"


def serve_chain(chain: ForetellChain, callers: Callers = Callers()) -> str:  # noqa: B008 - it is frozen
    """Serve a chain until it is forgotten; where."""
    listener = bind("127.0.0.1", 0)
    threading.Thread(target=serve, args=(chain, listener, None, callers), daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def lying_node(chain: ForetellChain, lie: Lie) -> Iterator[str]:
    """A node that answers as an honest one of the chain does, but for what a lie changes."""
    dispatcher = Dispatcher(chain)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.loads(json.dumps(dispatcher.respond(request)))
            if "result" in answer:
                answer["result"] = lie(request["method"], answer["result"])
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def about(method: str, change: Callable[[Any], Any]) -> Lie:
    """A lie in the results of one method."""
    return lambda asked, result: change(result) if asked == method else result


class NodeProcess:
    """``foretell node`` with arguments; ``url`` is where it listens. Killed when left."""

    def __init__(self, *arguments: str, cwd: Any = None) -> None:
        command = [sys.executable, "-c", _GO, "node", "--port", "0", *arguments]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        told = []
        for line in self.process.stdout or ():
            told.append(line)
            if found := re.match(r"Listening +(http://\S+)", line):
                self.url = found[1]
                return
        raise AssertionError("".join(told))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
