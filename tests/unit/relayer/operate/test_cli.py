import stat
import threading
import time
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from foretell_cli import main
from foretell_relayer.cli import relay
from foretell_relayer.config import Settings, journal_of, load_settings
from foretell_relayer.errors import BadSetting
from foretell_relayer.operate import cli
from foretell_relayer.operate.errors import ConfigThere
from foretell_relayer.operate.template import write
from foretell_relayer.records import BlockRef
from tests.kit.relay import make_context, make_found


def invoke(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture
def context(tmp_path):
    made = make_context(tmp_path)
    yield made
    made.journal.close()


@pytest.fixture
def journal(tmp_path, context):
    return ["--journal", tmp_path / "journal.sqlite3"]


# ------------------------------------------------------------------------------------------------- init


def test_init__options__are_set_and_all_others_stand_there(tmp_path):
    out = tmp_path / "relay.toml"
    result = invoke("init", "--dev-key", "--model", tmp_path, "--poll", "0.5", "--out", out)

    assert result.exit_code == 0, result.output
    text = out.read_text()
    assert tomllib.loads(text) == {"dev_key": True, "models": [str(tmp_path)], "poll": 0.5}
    for name in Settings.model_fields:
        if name != "password":
            assert f"\n# {name} = " in text or f"\n{name} = " in text
    settings = load_settings(out)
    assert (settings.dev_key, settings.models, settings.poll) == (True, (tmp_path,), 0.5)


def test_init__every_line_uncommented__is_toml_still(tmp_path):
    out = tmp_path / "relay.toml"
    write(out, {"dev_key": True}, replace=False)
    lines = out.read_text().splitlines()
    chosen = [line.removeprefix("# ") for line in lines if " = " in line]

    assert set(tomllib.loads("\n".join(chosen))) == set(Settings.model_fields) - {"password"}


def test_init__file__is_its_owners_alone(tmp_path):
    out = tmp_path / "relay.toml"
    write(out, {"dev_key": True, "rpc": "https://node.example/v3/secret"}, replace=False)

    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_init__file_is_there__is_left_unless_told(tmp_path):
    out = tmp_path / "relay.toml"
    out.write_text("mine")
    with pytest.raises(ConfigThere):
        write(out, {"dev_key": True}, replace=False)
    assert out.read_text() == "mine"

    write(out, {"dev_key": True}, replace=True)
    assert load_settings(out).dev_key


def test_init__settings_that_do_not_work__leave_no_file(tmp_path):
    result = invoke("init", "--rpc", "ftp://x", "--dev-key", "--out", tmp_path / "relay.toml")

    assert result.exit_code == 1
    assert "R-CFG-001" in result.output
    assert list(tmp_path.iterdir()) == []


def test_settings__of_the_command_line__are_all_in_the_file_and_the_other_way_round():
    options = {each.name for each in relay.params if isinstance(each, click.Option)} - {"config"}

    assert options == set(Settings.model_fields) - {"password"}


def test_config__environment_and_command_line__come_before_it(tmp_path, monkeypatch):
    out = tmp_path / "relay.toml"
    out.write_text('dev_key = true\npoll = 2.0\ntip_gwei = 3.0\njournal = "j.sqlite3"\n')
    monkeypatch.setenv("FORETELL_RELAY_POLL", "4")
    settings = load_settings(out, tip_gwei=5.0)

    assert (settings.poll, settings.tip_gwei) == (4.0, 5.0)
    assert settings.journal == tmp_path / "j.sqlite3"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "not TOML"),
        ('password = "x"', "password_file"),
        ("pol = 1", "no setting 'pol'"),
        ("dev_key = true\npoll = -1", "--poll"),
        ('dev_key = true\nmodels = "one"', "--models"),
    ],
)
def test_config__wrong__is_said_without_its_secrets(tmp_path, text, told):
    out = tmp_path / "relay.toml"
    out.write_text(text)

    with pytest.raises(BadSetting, match=told):
        load_settings(out)


# ------------------------------------------------------------------------------------------------ reading


def test_status__journal__tells_what_runs_and_what_is_there(context, journal):
    found = make_found()
    context.journal.record([found], [], BlockRef(1, b"\1" * 32))
    result = invoke("status", *journal)

    assert result.exit_code == 0
    assert "relayer      running, intake open" in result.output
    assert "1 decide" in result.output
    assert found.request_id.hex() in result.output
    assert "Q-NEW-001" in result.output


def test_why__request__tells_its_story(context, journal):
    found = make_found()
    context.journal.record([found], [], BlockRef(1, b"\1" * 32))
    context.journal.answered(found.request_id, (1,))
    result = invoke("why", "0x" + found.request_id.hex()[:8], *journal)

    assert result.exit_code == 0
    for text in ("because      Q-NEW-001", "next ", "to do ", "seen", "answered"):
        assert text in result.output


def test_why__unknown_request_or_journal__says_so(context, journal, tmp_path):
    assert "no such request" in invoke("why", "0x1234", *journal).output
    assert "no such journal" in invoke("why", "0x1234", "--journal", tmp_path / "none").output


def test_status__config__names_the_journal(context, tmp_path):
    config = tmp_path / "relay.toml"
    config.write_text('dev_key = true\njournal = "journal.sqlite3"\n')

    assert "running" in invoke("status", "--config", config).output


@pytest.mark.parametrize(
    ("text", "journal", "database", "where"),
    [
        ("", None, None, "relay.sqlite3"),
        ('journal = "/a"', None, None, "/a"),
        ('journal = "/a"', "/b", None, "/b"),
        ('journal = "/a"\ndatabase = "postgresql://c/d"', "/b", None, "postgresql://c/d"),
        ('database = "postgresql://c/d"', None, "postgresql://e/f", "postgresql://e/f"),
    ],
)
def test_journal_of__file_and_database__is_where_the_relayer_keeps_it(
    tmp_path, text, journal, database, where
):
    config = tmp_path / "relay.toml"
    config.write_text("dev_key = true\n" + text)
    found = journal_of(config, journal and Path(journal), database)

    assert str(found) == where
    assert found == load_settings(config, journal=journal and Path(journal), database=database).where


def test_status__database_that_does_not_answer__says_so_without_its_password():
    result = invoke("status", "--database", "postgresql://somebody:secret@127.0.0.1:1/journal")

    assert result.exit_code == 1
    assert "R-JNL-007" in result.output
    assert "secret" not in result.output


# ------------------------------------------------------------------------------------------------- orders


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_order__nobody_runs__waits_for_the_next_one(context, journal, command):
    context.journal.close()
    result = invoke(command, *journal)

    assert result.exit_code == 0
    assert "when it starts" in result.output


@pytest.mark.parametrize("command", ["drain", "withdraw"])
def test_order__nobody_runs_who_could__is_refused(context, journal, command):
    context.journal.close()
    result = invoke(command, *journal)

    assert result.exit_code == 1
    assert "R-OPR-001" in result.output


def test_order__relayer_is_stuck__says_that_it_did_not_answer(context, journal, monkeypatch):
    monkeypatch.setattr(cli, "_ANSWER_SECONDS", 0.3)
    result = invoke("pause", *journal)

    assert result.exit_code == 1
    assert "R-OPR-002" in result.output


@pytest.mark.parametrize(("done", "code"), [(True, 0), (False, 1)])
def test_order__answered__prints_the_answer(context, journal, done, code):
    def answer():
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for order in context.journal.open_orders():
                context.journal.answer(order, "so it is", done=done)
                return
            time.sleep(0.05)

    thread = threading.Thread(target=answer)
    thread.start()
    result = invoke("pause", *journal)
    thread.join()

    assert result.exit_code == code
    assert "so it is" in result.output


def test_replay__unknown_request__is_refused_before_anything_is_ordered(context, journal):
    result = invoke("replay", "0x1234", *journal)

    assert result.exit_code == 1
    assert "R-OPR-003" in result.output
    assert context.journal.open_orders() == []
