"""Logs: their two forms, and what never stands in them."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from foretell_cli.logging import REDACTED, LogFormat, configure_logging, redact_text


@pytest.fixture(autouse=True)
def _restore_structlog() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def logged(*, debug: bool = False, **fields: Any) -> dict[str, Any]:
    stream = io.StringIO()
    configure_logging(LogFormat.JSON, debug=debug, stream=stream)
    structlog.get_logger().info("event_name", **fields)
    parsed: dict[str, Any] = json.loads(stream.getvalue())
    return parsed


def test_json__event_with_fields__is_one_object_with_level_and_time() -> None:
    line = logged(request_id="0x01", attempt=2)
    assert (line["event"], line["level"], line["request_id"], line["attempt"]) == (
        "event_name",
        "info",
        "0x01",
        2,
    )
    assert line["timestamp"].endswith("Z")


def test_json__bytes__are_hex() -> None:
    assert logged(model_id=b"\x01\xff")["model_id"] == "0x01ff"


def test_auto__not_a_terminal__is_json() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    structlog.get_logger().warning("careful")
    assert json.loads(stream.getvalue())["event"] == "careful"


def test_console__event_with_fields__is_a_line_for_people() -> None:
    stream = io.StringIO()
    configure_logging(LogFormat.CONSOLE, stream=stream)
    structlog.get_logger().info("proof_submitted", gas=540_000)
    assert "proof_submitted" in stream.getvalue()
    assert "gas=540000" in stream.getvalue()


@pytest.mark.parametrize(("debug", "lines"), [(False, 0), (True, 1)])
def test_debug_event__by_level__is_logged_only_on_request(debug: bool, lines: int) -> None:
    stream = io.StringIO()
    configure_logging(LogFormat.JSON, debug=debug, stream=stream)
    structlog.get_logger().debug("detail")
    assert len(stream.getvalue().splitlines()) == lines


@pytest.mark.parametrize(
    "name",
    ["private_key", "signer_key", "password", "keystore_password", "mnemonic", "api_key", "Authorization"],
)
def test_secret_field__by_name__is_redacted(name: str) -> None:
    assert logged(**{name: "0xdeadbeef"})[name] == REDACTED


def test_secret_field__nested__is_redacted() -> None:
    line = logged(config={"rpc": {"password": "hunter2"}, "chain": 1})
    assert line["config"] == {"rpc": {"password": REDACTED}, "chain": 1}


@pytest.mark.parametrize("name", ["verifying_key_hash", "key_id", "token_id"])
def test_public_field__with_a_name_like_a_secrets__stays(name: str) -> None:
    assert logged(**{name: "0x01"})[name] == "0x01"


def test_exception__with_a_url_in_its_message__shows_no_key_of_it() -> None:
    stream = io.StringIO()
    configure_logging(LogFormat.JSON, stream=stream)
    error = ConnectionError("POST https://user:pass@rpc.example/v3/0123456789abcdef failed")
    structlog.get_logger().error("rpc_failed", exc_info=error)
    assert "ConnectionError" in stream.getvalue()
    assert "pass" not in stream.getvalue()
    assert "0123456789abcdef" not in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:8545/path", "http://127.0.0.1:8545/path"),
        ("ws://localhost:8546", "ws://localhost:8546"),
        ("https://rpc.example", "https://rpc.example"),
        ("https://rpc.example/", "https://rpc.example/"),
        ("https://rpc.example/v3/key?x=1", f"https://rpc.example/{REDACTED}"),
        ("https://rpc.example?key=1", f"https://rpc.example/{REDACTED}"),
        ("postgresql://me:secret@db.example:5432/jobs", f"postgresql://db.example:5432/{REDACTED}"),
        ("postgresql+psycopg://me:secret@localhost/jobs", "postgresql+psycopg://localhost/jobs"),
        ("no address at all", "no address at all"),
    ],
)
def test_redact_text__addresses__keep_the_host_and_lose_the_rest(text: str, expected: str) -> None:
    assert redact_text(text) == expected


@given(secret=st.text(st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0x7F), min_size=12))
def test_redact_text__any_secret_in_user_or_path__is_gone(secret: str) -> None:
    assert secret not in redact_text(f"error at https://me:{secret}@rpc.example/v1/{secret}: refused")
