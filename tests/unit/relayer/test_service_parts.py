"""Errors, redaction, supervision and the small parts around the stages."""

import asyncio
import time

import pytest
from click.testing import CliRunner

from foretell_cli import main
from foretell_relayer import errors
from foretell_relayer.clock import Backoff, Bell, pause_after
from foretell_relayer.deploy import create_address
from foretell_relayer.errors import LeaseLost, RelayError, RpcUnreachable
from foretell_relayer.metrics import Metrics
from foretell_relayer.redact import Redactor, public_url
from foretell_relayer.supervisor import Supervisor
from foretell_relayer.work import in_thread
from tests.kit.world import create_address as create_address_by_rlp


def leaves(kind):
    below = kind.__subclasses__()
    return [leaf for each in below for leaf in leaves(each)] if below else [kind]


def test_errors__codes__are_unique_and_in_the_tree_that_the_module_draws():
    own = [leaf for leaf in leaves(RelayError) if leaf.__module__ == errors.__name__]
    codes = [leaf.code for leaf in own]

    assert len(set(codes)) == len(codes)
    for leaf in own:
        line = next(line for line in errors.__doc__.splitlines() if f" {leaf.__name__} " in line)
        assert leaf.code in line
        assert line.endswith("retry" if leaf.retry else "give up")


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://user:secret@node.example:8443/v3/secret?key=secret", "https://node.example:8443"),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://[::1]:8545/secret", "http://[::1]:8545"),
    ],
)
def test_public_url__credentials__are_left_out(url, public):
    assert public_url(url) == public


def test_redactor__any_part_of_the_url_in_a_text__is_blotted_out():
    redact = Redactor("https://someone:passw0rd@node.example/v3/projectkey?token=t0ken")
    text = (
        "POST https://someone:passw0rd@node.example/v3/projectkey?token=t0ken: /v3/projectkey t0ken passw0rd"
    )

    redacted = redact(text)
    assert not [secret for secret in ("passw0rd", "projectkey", "t0ken", "someone") if secret in redacted]
    assert "https://node.example" in redacted


def test_backoff__failures__pause_longer_up_to_a_limit_and_start_again():
    backoff = Backoff(first=1.0, most=8.0)
    pauses = [backoff.next() for _ in range(6)]
    assert [int(pause) >= low for pause, low in zip(pauses, (1, 2, 4, 8, 8, 8), strict=True)] == [True] * 6
    assert max(pauses) <= 10.0

    backoff.reset()
    assert backoff.next() < 1.3
    assert pause_after(10_000, 1.0, 8.0) <= 10.0


def test_bell__rung_before_the_wait__is_heard_once():
    async def story():
        bell = Bell()
        bell.ring()
        await asyncio.wait_for(bell.wait(3600), 60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bell.wait(3600), 0.05)

    asyncio.run(story())


class Flaky:
    name = "flaky"

    def __init__(self, *failures):
        self.failures = list(failures)
        self.runs = 0
        self.done = asyncio.Event()

    async def run(self):
        self.runs += 1
        if self.failures:
            raise self.failures.pop(0)
        await self.done.wait()


def supervise(stage, *, stop_after=None, grace=1.0):
    told = []

    async def story():
        supervisor = Supervisor(Metrics(), lambda _, error: told.append(error))
        task = asyncio.create_task(supervisor.run([stage], grace))
        if stop_after is not None:
            await asyncio.sleep(stop_after)
            supervisor.stop()
        await task

    asyncio.run(story())
    return told


def test_supervisor__error_that_passes__runs_the_stage_again():
    stage = Flaky(RpcUnreachable("down"))
    told = supervise(stage, stop_after=1.0, grace=0.1)

    assert stage.runs == 2
    assert [error.code for error in told] == ["R-RPC-001"]


@pytest.mark.parametrize("error", [LeaseLost("gone"), ZeroDivisionError()])
def test_supervisor__error_that_does_not_pass__ends_everything(error):
    with pytest.raises(BaseExceptionGroup) as caught:
        supervise(Flaky(error))

    assert caught.value.exceptions == (error,)


def test_supervisor__stage_that_does_not_end__is_interrupted_after_the_grace():
    began = time.monotonic()
    supervise(Flaky(), stop_after=0.1, grace=0.3)

    assert time.monotonic() - began > 0.3


def test_in_thread__result_and_error__reach_the_one_who_awaits():
    async def story():
        assert await in_thread(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await in_thread(divmod, 1, 0)

    asyncio.run(story())


def test_in_thread__abandoned__does_not_disturb_the_loop():
    async def story():
        task = asyncio.create_task(in_thread(time.sleep, 0.1))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.2)

    asyncio.run(story())


@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 255, 256, 65_536])
def test_create_address__any_nonce__is_that_of_rlp(nonce):
    sender = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"

    assert create_address(sender, nonce) == create_address_by_rlp(sender, nonce)


# ------------------------------------------------------------------------------------------ command line


def test_relay__no_key__says_what_to_give():
    result = CliRunner().invoke(main, ["relay"])

    assert result.exit_code == 1
    assert "R-CFG-001" in result.output
    assert "--keystore" in result.output


def test_relay__help__tells_of_settings_and_environment():
    result = CliRunner().invoke(main, ["relay", "--help"])

    assert result.exit_code == 0
    assert "FORETELL_RELAY_<NAME>" in result.output


def test_relay__wrong_setting__is_refused_before_any_work(tmp_path):
    arguments = ["relay", "--dev-key", "--rpc", "ftp://x", "--journal", str(tmp_path / "j")]
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 1
    assert not (tmp_path / "j").exists()


def test_relay__no_model__is_refused_before_any_work(tmp_path):
    result = CliRunner().invoke(main, ["relay", "--dev-key", "--journal", str(tmp_path / "j")])

    assert result.exit_code == 1
    assert "R-CFG-002" in result.output
    assert not (tmp_path / "j").exists()
