"""Figures for Prometheus, served on the local host where a port is asked for."""

import threading
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


class Metrics:
    """The figures of one relayer, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kinds: dict[str, Any] = {"registry": self.registry, "namespace": "foretell_relay"}
        self.head = Gauge("head_block", "Newest block seen.", **kinds)
        self.read = Gauge("read_block", "Newest block whose events were read.", **kinds)
        self.seen = Counter("requests_seen", "Requests of models that are served here.", **kinds)
        self.closed = Counter("requests_closed", "Requests that ended, by status.", ["status"], **kinds)
        self.sent = Counter("transactions_sent", "Transactions handed to the node.", ["action"], **kinds)
        self.landed = Counter("transactions_ended", "Transactions by their fate.", ["state"], **kinds)
        self.divergences = Counter("divergences", "Outputs of others that differ from ours.", **kinds)
        self.errors = Counter("errors", "Errors that were recovered from.", ["code"], **kinds)
        self.intake = Gauge("intake_open", "Whether new work is taken (1) or not (0).", **kinds)
        self.nodes = Gauge("node_up", "Whether a node is asked (1) or put aside (0).", ["node"], **kinds)
        self.infer_seconds = Histogram("infer_seconds", "Running a model.", buckets=SECONDS, **kinds)
        self.prove_seconds = Histogram("prove_seconds", "Proving an output.", buckets=SECONDS, **kinds)
        self.waiting = Gauge(
            "requests", "Requests by outcome, or by the step that is next.", ["step"], **kinds
        )

    def serve(self, port: int) -> tuple[int, Callable[[], None]]:
        """Serve ``/metrics`` on the local host; returns the port and what stops it.

        Raises:
            OSError: the port is taken.
        """
        server: Any
        thread: threading.Thread
        server, thread = start_http_server(port, addr="127.0.0.1", registry=self.registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return server.server_port, stop
