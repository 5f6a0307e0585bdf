"""The Solidity guide, followed word by word."""

import pytest

from tests.clients.conftest import Client

pytestmark = pytest.mark.slow


def test_guide__its_commands_in_order__do_what_it_says(
    project: Client, guide_steps: list[tuple[str, str]]
) -> None:
    commands = [text for kind, text in guide_steps if kind == "sh"]
    assert len(commands) == 5
    script = "\n".join(["set -euxo pipefail", *commands, "echo followed"])
    told = project.run("bash", "-c", script.replace("http://127.0.0.1:8545", project.url))
    assert told.rstrip().endswith("followed")
    assert "1 passed; 0 failed" in told
    assert "ONCHAIN EXECUTION COMPLETE & SUCCESSFUL" in told
    assert "status               1 (success)" in told
