"""The files that operators copy: nginx and systemd take them, and they name metrics that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from app.settings import PREFIX, Settings
from app.telemetry.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"


def exported() -> set[str]:
    """The names of all series that /metrics has."""
    metrics = Metrics()
    metrics.answered(method="GET", route="/", status=500, seconds=1, problem="overloaded")
    metrics.describe(version="1", fingerprint="f")
    metrics.restarted("decoder")
    return set(re.findall(r"^(\w+)[ {]", metrics.render().decode(), re.MULTILINE))


def named(expression: str) -> set[str]:
    """The series that a query of Prometheus reads."""
    return set(re.findall(r"\b(?:srcid|process)_\w+", expression))


def test_nginx_loads_its_file(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if nginx is None:
        pytest.skip("there is no nginx (apt-get install nginx-light)")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=x -keyout {key}"
    subprocess.run([*made.split(), "-out", certificate], check=True, capture_output=True)
    text = (DEPLOY / "nginx.conf").read_text()
    text = re.sub(r"/etc/ssl/certs/\S+(?=;)", str(certificate), text)
    text = re.sub(r"/etc/ssl/private/\S+(?=;)", str(key), text)
    (tmp_path / "srcid.conf").write_text(text)
    whole = f"pid {tmp_path}/pid; events {{}} http {{ include {tmp_path}/srcid.conf; }}"
    (tmp_path / "nginx.conf").write_text(whole)
    command = [nginx, "-t", "-e", tmp_path / "log", "-c", tmp_path / "nginx.conf"]
    tested = subprocess.run(command, capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr


def test_systemd_takes_its_unit(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("there is no systemd-analyze")
    text = (DEPLOY / "srcid.service").read_text().replace("/opt/srcid/bin/srcid", "/bin/true")
    (tmp_path / "srcid.service").write_text(text)
    tested = subprocess.run(
        [analyze, "verify", "--man=no", tmp_path / "srcid.service"], capture_output=True, text=True
    )
    complaints = [line for line in tested.stderr.splitlines() if "srcid.service" in line]
    assert complaints == []
    settings = re.findall(rf"{PREFIX}(\w+)=", text)
    assert {name.lower() for name in settings} - {"name"} <= set(Settings.model_fields)


def test_alerts_and_dashboard_read_metrics_that_exist() -> None:
    (group,) = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
        assert named(rule["expr"]) <= exported(), rule["alert"]
    board = json.loads((DEPLOY / "grafana.json").read_text())
    expressions = [own["expr"] for panel in board["panels"] for own in panel["targets"]]
    assert len(expressions) >= len(board["panels"]) > 5
    for expression in expressions:
        assert named(expression), expression
        assert named(expression) <= exported(), expression
