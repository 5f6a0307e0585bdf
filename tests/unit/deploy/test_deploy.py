"""The files under deploy/ name only what the code has, and are what their programs take."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from foretell_cli import main
from foretell_relayer.config import Settings
from foretell_relayer.metrics import Metrics
from foretell_relayer.operate.health import CLOSED, NAMES
from foretell_relayer.records import Mode

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "foretell-relay.json"
UNIT = DEPLOY / "systemd" / "foretell-relay.service"
CONTAINER = DEPLOY / "container" / "Containerfile"
GUIDE = ROOT / "docs" / "guides" / "operator.md"
FOREIGN = {"up", "process_max_fds", "process_open_fds", "process_resident_memory_bytes"}
NAME = re.compile(r"\b(?:foretell_relay_|process_)\w+")
PROMTOOL = shutil.which("promtool")
ANALYZE = shutil.which("systemd-analyze")


def names_in_code():
    """Every series that a relayer can show; those with labels show themselves once they are used."""
    found = set()
    for family in Metrics().registry.collect():
        suffixes = {"counter": ["_total"], "info": ["_info"], "histogram": ["_bucket", "_count", "_sum"]}
        found |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    return found


def rules():
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def targets():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def used():
    return {name for text in [*(rule["expr"] for rule in rules()), *targets()] for name in NAME.findall(text)}


def test_names__of_alerts_and_dashboard__are_those_of_the_code():
    assert used() - FOREIGN <= names_in_code()


def test_names__of_the_code__are_all_looked_at_somewhere():
    shown = used() | {"foretell_relay_build_info"}
    # Of a histogram any series will do; what the process collector gives is not ours.
    unused = {
        name
        for name in names_in_code() - shown
        if name.startswith("foretell_relay_") and not name.endswith(("_count", "_sum"))
    }

    assert unused == set()


def test_labels__of_alerts_and_dashboard__exist():
    text = ALERTS.read_text() + DASHBOARD.read_text()
    for pattern in re.findall(r'reason=~?\\?"([\w|]+)', text):
        assert set(pattern.split("|")) <= set(NAMES)
    for pattern in re.findall(r'foretell_relay_intake\{state=~?\\?"([\w|]+)', text):
        assert set(pattern.split("|")) <= {CLOSED, *(mode.value for mode in Mode)}


def test_alerts__each__has_a_severity_a_summary_and_a_page_in_the_guide():
    headings = {line.removeprefix("### ").lower() for line in GUIDE.read_text().splitlines()}
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / page) == GUIDE
        assert anchor == rule["alert"].lower()
        assert anchor in headings


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool here; Debian's package is prometheus")
def test_alerts__read_and_run_by_prometheus__do_what_they_say(tmp_path):
    cases = Path(__file__).with_name("alerts_test.yml").read_text().replace("RULES", str(ALERTS))
    (tmp_path / "cases.yml").write_text(cases)
    for command in (["check", "rules", str(ALERTS)], ["test", "rules", str(tmp_path / "cases.yml")]):
        done = subprocess.run([PROMTOOL, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool here; Debian's package is prometheus")
def test_dashboard__every_query__is_promql(tmp_path):
    recorded = [
        {
            "record": f"panel:{number}",
            "expr": text.replace("$__rate_interval", "5m").replace("$instance", ".+"),
        }
        for number, text in enumerate(targets())
    ]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": recorded}]}))
    done = subprocess.run(
        [PROMTOOL, "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(recorded) > 30


def test_dashboard__panels__do_not_overlap():
    taken = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_metrics__text__is_what_prometheus_reads():
    families = {family.name for family in text_string_to_metric_families(Metrics().text().decode())}

    assert "foretell_relay_ready" in families


# ------------------------------------------------------------------------------------------------ systemd


@pytest.mark.skipif(ANALYZE is None, reason="there is no systemd-analyze here")
def test_unit__read_by_systemd__has_no_mistake_but_the_missing_program(tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/foretell/bin/foretell", shutil.which("true")))
    done = subprocess.run([ANALYZE, "verify", str(unit)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_unit__settings__are_the_relayers():
    names = re.findall(r"FORETELL_RELAY_(\w+)=", UNIT.read_text())

    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)
    command = re.search(r"ExecStart=\S+ (.*)", UNIT.read_text())[1].split()
    assert CliRunner().invoke(main, [*command, "--help"]).exit_code == 0


def test_unit__password__is_no_argument_and_no_variable():
    assert "LoadCredential=password:" in UNIT.read_text()
    assert "PASSWORD=" not in UNIT.read_text()


# ---------------------------------------------------------------------------------------------- container


def instructions():
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", CONTAINER.read_text(), flags=re.MULTILINE))
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


def values(name):
    return [value for instruction, value in instructions() if instruction == name]


def test_container__sources__are_files_of_the_project():
    for value in values("COPY"):
        if not value.startswith("--from"):
            for source in value.split()[:-1]:
                assert (ROOT / source).exists()


def test_container__images__are_named_with_registry_and_version():
    for value in values("FROM"):
        assert re.fullmatch(r"[\w.]+/[\w./-]+:[\w.-]+( AS \w+)?", value)
        assert ":latest" not in value


def test_container__runs__as_nobody_special_and_asks_the_health_endpoint():
    (user,) = values("USER")
    assert not user.startswith(("0", "root"))
    (check,) = values("HEALTHCHECK")
    assert "/healthz" in check
    command = json.loads(values("ENTRYPOINT")[0])[1:] + json.loads(values("CMD")[0])
    assert CliRunner().invoke(main, [*command, "--help"]).exit_code == 0


def test_container__environment__holds_settings_and_no_secret():
    names = re.findall(r"\b(\w+)=", values("ENV")[0])
    own = {
        name.removeprefix("FORETELL_RELAY_").lower() for name in names if name.startswith("FORETELL_RELAY_")
    }

    assert own <= set(Settings.model_fields) | {"config"}
    assert "password" not in own
