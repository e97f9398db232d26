"""The files in deploy/: valid by the schemas of their programs, and in accord with the service and with each other."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml

from app import main, serve
from app.chat import turn
from app.misspelt import SETTINGS
from app.settings import LEGACY_NAMES
from scripts.install.command import REPOSITORY
from tests.deploy.conftest import DEPLOY, Tools
from tests.support.documented import block

ENDS_WITHIN = main.DRAIN_SECONDS + turn.STORE_SECONDS + serve.SHUTDOWN_SECONDS + main.CLOSE_SECONDS
PATHS = {"/health/live", "/health/ready"}
VERSIONS = ("1.30", "1.34", "1.37")
"""Of Kubernetes: the first in which preStop may sleep by default, and two later ones."""


@pytest.fixture(scope="module")
def manifests(tools: Tools) -> dict[str, dict[str, Any]]:
    """What `kubectl apply --kustomize` would send, by kind."""
    ended = tools.run("kubectl", "kustomize", DEPLOY / "kubernetes")
    assert ended.returncode == 0, ended.stderr
    return {one["kind"]: one for one in yaml.safe_load_all(ended.stdout)}


@pytest.fixture
def pod(manifests: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    return spec


def test_a_process_ends_within_ten_seconds() -> None:
    assert ENDS_WITHIN <= 10


# ── Kubernetes ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_manifests(tools: Tools, tmp_path: Any, version: str) -> None:
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(tools.run("kubectl", "kustomize", DEPLOY / "kubernetes").stdout)
    ended = tools.run("kubernetes-validate", "--strict", "--kubernetes-version", version, rendered)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rendered.write_text(rendered.read_text().replace("preStop:", "preStopp:"))
    assert tools.run("kubernetes-validate", "--strict", "-k", version, rendered).returncode != 0


def test_a_replica_has_the_time_to_drain(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= before + 10 + 5
    # readiness has told the balancer by then, even where preStop did not
    readiness = container["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] <= 10


def test_probes_ask_what_they_are_for(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    asked = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }


def test_a_replica_may_do_nothing_but_its_work(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"USER {pod['securityContext']['runAsUser']}:" in (REPOSITORY / "Dockerfile").read_text()
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108


def test_selectors_find_the_replicas(manifests: dict[str, dict[str, Any]]) -> None:
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    monitor = yaml.safe_load((DEPLOY / "kubernetes" / "podmonitor.yaml").read_text())
    selectors = [
        manifests["Deployment"]["spec"]["selector"]["matchLabels"],
        manifests["Service"]["spec"]["selector"],
        manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        monitor["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert labels[monitor["spec"]["jobLabel"]] == "parley"  # the job that deploy/monitoring selects
    (dns, _) = manifests["NetworkPolicy"]["spec"]["egress"]
    assert dns["to"][0]["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
    assert manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "parley"


def test_ports_are_those_of_the_settings(manifests: dict[str, dict[str, Any]], pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings = manifests["ConfigMap"]["data"]
    assert ports == {"http": 8000, "metrics": int(settings["METRICS_PORT"])}
    assert settings["METRICS_HOST"] == "0.0.0.0"  # noqa: S104
    named = {source.get("configMapRef", source.get("secretRef"))["name"] for source in container["envFrom"]}
    assert named == {manifests["ConfigMap"]["metadata"]["name"], "parley"}


# ── the others ───────────────────────────────────────────────────────────────────────────────────────────────────


def compose() -> dict[str, Any]:
    service: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["parley"]
    return service


def test_compose_takes_its_file(tools: Tools, tmp_path: Any) -> None:
    ended = tools.run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    assert ended.returncode == 0, ended.stdout
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((DEPLOY / "compose.yaml").read_text().replace("read_only:", "readonly:"))
    assert tools.run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", wrong).returncode == 1


def test_compose_runs_it_as_in_production() -> None:
    service = compose()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= 10
    assert (DEPLOY / service["build"]["context"] / "Dockerfile").exists()
    # all settings of the user's file reach it, and a key that is missing is named
    assert (DEPLOY / service["env_file"]).resolve() == REPOSITORY / ".env"
    assert ":?" in service["environment"]["SUPABASE_SECRET_KEY"]


def test_fly_and_cloud_run_leave_time_and_work() -> None:
    fly = tomllib.loads((DEPLOY / "fly.toml").read_text())
    assert (fly["kill_signal"], fly["http_service"]["auto_stop_machines"]) == ("SIGTERM", "off")
    assert fly["kill_timeout"] >= 10
    assert fly["http_service"]["internal_port"] == 8000
    assert {check["path"] for check in fly["http_service"]["checks"]} <= PATHS
    run = yaml.safe_load((DEPLOY / "cloudrun.yaml").read_text())["spec"]["template"]
    assert run["metadata"]["annotations"]["run.googleapis.com/cpu-throttling"] == "false"
    assert int(run["metadata"]["annotations"]["autoscaling.knative.dev/minScale"]) >= 1
    (container,) = run["spec"]["containers"]
    assert {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe")} == PATHS


def names() -> dict[str, set[str]]:
    """The environment names in each file."""
    (container,) = yaml.safe_load((DEPLOY / "cloudrun.yaml").read_text())["spec"]["template"]["spec"]["containers"]
    lines = (DEPLOY / "kubernetes" / "settings.env").read_text().splitlines()
    return {
        "compose.yaml": set(compose()["environment"]),
        "fly.toml": set(tomllib.loads((DEPLOY / "fly.toml").read_text())["env"]),
        "cloudrun.yaml": {one["name"] for one in container["env"]},
        "settings.env": {line.partition("=")[0] for line in lines if line},
        "docs/deploy.md": set(re.findall(r"^([A-Z_]+)=", block("docs/deploy.md", "cat > production.env").text, re.M)),
    }


@pytest.mark.parametrize("file", names())
def test_names_in_the_environment_are_settings(file: str) -> None:
    assert names()[file] <= {*SETTINGS, *LEGACY_NAMES}


def test_no_file_has_a_key() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert not re.search(r"sb_secret_(?!\u2026)\w|\beyJ\w{8}|sk-\w{8}", path.read_text()), path
