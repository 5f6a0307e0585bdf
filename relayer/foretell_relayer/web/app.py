"""The operator's page, figures and health as one small application.

It only reads, so there is nothing to forge a request for; a name that was pointed at this machine (DNS
rebinding) is refused by ``Host``; the policy of each answer forbids scripts, foreign resources and frames;
and every text, which may be a stranger's, is escaped by the templates.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from foretell_relayer.errors import JournalError
from foretell_relayer.metrics import Metrics
from foretell_relayer.operate import health, story
from foretell_relayer.operate.errors import OrderRefused
from foretell_relayer.operate.health import Monitor
from foretell_relayer.store import Journal
from foretell_relayer.web import views

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer."""

_STYLE: Final = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
Call = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """What the application shows."""

    journal: Journal
    metrics: Metrics
    monitor: Monitor
    clock: Callable[[], float] = time.time


def make_app(page: Page, names: Iterable[str] = ()) -> Starlette:
    """The application; besides IP addresses and ``localhost`` it answers to ``names`` alone."""
    allowed = frozenset(name.lower() for name in names) | {"localhost"}

    async def guard(request: Request, call: Call) -> Response:
        if not _is_known(request.headers.get("host", ""), allowed):
            answer: Response = PlainTextResponse(
                "This server does not go by that name; --http-name adds names.\n", 421
            )
        else:
            answer = await call(request)
        answer.headers.update(HEADERS)
        return answer

    return Starlette(routes=_routes(_Handlers(page)), middleware=[Middleware(BaseHTTPMiddleware, guard)])


def _is_known(host: str, allowed: frozenset[str]) -> bool:
    name = host.rsplit("]", 1)[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    try:
        ip_address(name)  # nobody can point an address somewhere else
    except ValueError:
        return name.lower() in allowed
    return True


def _routes(handlers: "_Handlers") -> list[Route]:
    return [
        Route("/", handlers.home, methods=["GET"]),
        Route("/requests/{request_id}", handlers.request, methods=["GET"]),
        Route("/style.css", handlers.style, methods=["GET"]),
        Route("/metrics", handlers.metrics, methods=["GET"]),
        Route("/healthz", handlers.healthz, methods=["GET"]),
        Route("/readyz", handlers.readyz, methods=["GET"]),
    ]


class _Handlers:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._templates = Environment(
            loader=PackageLoader("foretell_relayer.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(views.FILTERS)

    async def home(self, _: Request) -> Response:
        page = self._page
        try:
            shown = views.home(page.journal, page.monitor, page.clock())
        except JournalError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return self._render("home.html", shown)

    async def request(self, request: Request) -> Response:
        page = self._page
        try:
            row = story.find(page.journal, str(request.path_params["request_id"]))
            told = story.tell(page.journal, row, page.clock)
        except OrderRefused:
            return PlainTextResponse("There is no such request in this journal.\n", 404)
        except JournalError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return self._render("request.html", {"story": told, "at": page.clock()})

    async def style(self, _: Request) -> Response:
        return Response(_STYLE, media_type="text/css")

    async def metrics(self, _: Request) -> Response:
        health.publish(self._page.monitor, self._page.metrics)
        return Response(self._page.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(self, _: Request) -> Response:
        if self._page.monitor.is_alive():
            return PlainTextResponse("alive\n")
        return PlainTextResponse("the lease was not renewed for a while: restart it\n", 503)

    async def readyz(self, _: Request) -> Response:
        reasons = self._page.monitor.reasons()
        told = [{"name": each.name, "text": each.text, "remedy": each.remedy} for each in reasons]
        return JSONResponse({"ready": not reasons, "reasons": told}, 503 if reasons else 200)

    def _render(self, name: str, values: dict[str, Any]) -> Response:
        return HTMLResponse(self._templates.get_template(name).render(values))
