"""The page over real HTTP, with a journal that strangers wrote into."""

import asyncio
import contextlib
import http.client
import json
import re
import socket

import pytest

from foretell_relayer.config import parse_listener
from foretell_relayer.core import Status
from foretell_relayer.errors import BadSetting
from foretell_relayer.operate.health import Funds
from foretell_relayer.records import BlockRef
from foretell_relayer.web.app import HEADERS, Page, make_app
from foretell_relayer.web.server import serving
from tests.kit.anvil import free_port
from tests.kit.relay import OPERATOR, START, a_view, make_context, make_found

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def context(tmp_path):
    made = make_context(tmp_path)
    made.monitor.looked(1, 1)
    yield made
    made.journal.close()


@pytest.fixture
def page(context):
    return Page(context.journal, context.metrics, context.monitor, lambda: START)


def get(page, path, names=(), method="GET", **headers):
    """One request to a server of its own; returns status, headers and text."""
    port = free_port()

    def ask():
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request(method, path, headers={"Host": f"127.0.0.1:{port}", **headers})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()

    async def story():
        async with serving(page, str(port), names):
            return await asyncio.to_thread(ask)

    return asyncio.run(story())


def record(context, number=0, **overrides):
    found = make_found(number, **overrides)
    context.journal.record([found], [], BlockRef(1, b"\1" * 32))
    return found


def test_home__requests__are_in_the_queue_with_their_codes(context, page):
    found = record(context)
    status, _, text = get(page, "/")

    assert status == 200
    assert f'href="/requests/0x{found.request_id.hex()}"' in text
    assert "Q-NEW-001" in text


def test_home__money_and_outcomes__are_shown(context, page):
    found = record(context, provisional=True, fee=10**18)
    view = a_view(Status.FINAL, operator=OPERATOR, delivered_at=START)
    row = context.journal.get(found.request_id)
    context.journal.ended(row, found.facts(3600, 3600), view, OPERATOR, START + 30)
    context.monitor.funds = Funds(10**17, 3 * 10**18, 10**18, 2 * 10**18, 5 * 10**17)
    _, _, text = get(page, "/")

    assert "1.000000" in text
    assert "0.500000" in text
    assert "3.000000" in text
    assert re.search(r"<td>up to 1 min</td><td class=\"number\">1</td>", text)


def test_request__timeline__is_shown(context, page):
    found = record(context)
    context.journal.answered(found.request_id, (1,))
    status, _, text = get(page, f"/requests/0x{found.request_id.hex()}")

    assert status == 200
    assert "answered" in text
    assert "to do" in text


@pytest.mark.parametrize(
    "path", ["/requests/0x12345678", "/requests/..%2f..%2fetc", "/nothing", "/requests/"]
)
def test_path__unknown__is_not_found(page, path):
    assert get(page, path)[0] == 404


def test_text__of_strangers__is_escaped(context, page):
    found = record(context)
    context.journal.later(found.request_id, "not_sent", f"R-RPC-002: {HOSTILE}", 1.0)
    for path in ("/", f"/requests/0x{found.request_id.hex()}"):
        text = get(page, path)[2]
        assert HOSTILE not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("path", ["/", "/style.css", "/metrics", "/healthz", "/readyz", "/nothing"])
def test_answer__every_one__forbids_scripts_frames_and_foreign_things(page, path):
    _, headers, text = get(page, path)

    for name, value in HEADERS.items():
        assert headers[name.lower()] == value
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    # Nothing that the policy would have to refuse: no script, no style inside, nothing from elsewhere.
    assert not re.search(r"<script|style=|\son\w+=|https?://", text) or path == "/metrics"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_method__that_could_change_something__is_not_there(page, method):
    assert get(page, "/", method=method)[0] == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:9464", 200),
        ("127.0.0.1:9464", 200),
        ("[::1]:9464", 200),
        ("relay.lan:9464", 200),
        ("RELAY.lan", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("[evil.example]", 421),
        ("", 421),
    ],
)
def test_host__pointed_here_by_somebody__is_refused(page, host, status):
    assert get(page, "/healthz", names=["relay.lan"], Host=host)[0] == status


def test_healthz__lease_lost__is_dead(context, page):
    assert get(page, "/healthz")[::2] == (200, "alive\n")

    context.monitor.renewed_at -= 60
    assert get(page, "/healthz")[0] == 503


def test_readyz__reasons__are_told_with_remedies(context, page):
    assert json.loads(get(page, "/readyz")[2]) == {"ready": True, "reasons": []}

    context.monitor.looked_at = None
    status, _, text = get(page, "/readyz")
    assert status == 503
    (reason,) = json.loads(text)["reasons"]
    assert reason["name"] == "starting"
    assert reason["remedy"]


def test_metrics__scraped__are_current(context, page):
    context.metrics.seen.inc()
    _, headers, text = get(page, "/metrics")

    assert headers["content-type"].startswith("text/plain; version=")
    assert "foretell_relay_requests_seen_total 1.0" in text
    assert "foretell_relay_ready 1.0" in text
    assert "process_resident_memory_bytes" in text


def test_serving__taken_port__is_an_error_of_the_setting(page):
    async def story(port):
        async with serving(page, str(port), ()):
            pass

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadSetting, match="--http"):
            asyncio.run(story(taken.getsockname()[1]))


def test_serving__not_asked_for__listens_nowhere(page):
    async def story():
        async with serving(page, None, ()):
            return True

    assert asyncio.run(story())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9464", ("127.0.0.1", 9464)),
        (":9464", ("127.0.0.1", 9464)),
        ("192.0.2.1:80", ("192.0.2.1", 80)),
        ("[::1]:80", ("::1", 80)),
    ],
)
def test_listener__port_alone__is_on_the_loopback(text, found):
    assert parse_listener(text) == found


@pytest.mark.parametrize("text", ["", "host", "host:", "1:99999", "1:-1"])
def test_listener__no_port__is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse_listener(text)


def test_app__names__are_lower_cased_once(page):
    assert make_app(page, ["Relay.LAN"])
