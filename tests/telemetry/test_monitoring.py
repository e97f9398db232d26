"""The alerts and the dashboard: held against what a process really has, and loaded by Prometheus' and Grafana's own
checkers.

promtool is Debian's, taken where apt can get it. Elsewhere those tests are skipped, and what remains is the parser of
promql-parser, which is used in every run.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from app.errors import ERRORS
from app.observe import LEVELS
from app.telemetry.measuring import LIMITS, UNSTORED
from app.telemetry.metrics import Shown
from app.values import ReplyStatus
from scripts.dashboard import FILE as DASHBOARD
from scripts.dashboard import text
from scripts.metrics import shown
from tests.support.documented import block
from tests.support.sources import ROOT
from tests.telemetry.expressions import grouped, parsed, selected

FOLDER = ROOT / "deploy" / "monitoring"
RULES = FOLDER / "alerts.yml"
CASES = FOLDER / "alerts.test.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
PROMETHEUS_OWN = {"up": Shown("up", "gauge", (), "")}
"""Of Prometheus itself, for each process that it asks."""
FROM_THE_SCRAPE = {"instance", "job"}
"""Labels that Prometheus adds."""
CODES, EVENTS = set(ERRORS), set(LEVELS)
VALUES: dict[str, set[str]] = {
    "end": {*get_args(ReplyStatus), UNSTORED},
    "event": EVENTS,
    "code": CODES,
    "limit": set(LIMITS),
    "reason": {"unavailable", "refused"},
    "state": {"queued", "running", "retrying", "failed"},
    "job": {"parley"},
}
"""All values that a label may have in an expression."""


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def shown_expressions() -> list[str]:
    """Those of the dashboard, with Grafana's variables replaced as Grafana does."""
    written = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [one.replace("$__rate_interval", "5m").replace("$instance", ".*") for one in written]


ALERTS = {rule["alert"]: rule for rule in alerts()}
EXPRESSIONS = [*(rule["expr"] for rule in alerts()), *shown_expressions()]


def metric_of(name: str, metrics: dict[str, Shown]) -> Shown | None:
    """The metric that has a series of this name."""
    if name in metrics:
        return metrics[name] if metrics[name].kind != "histogram" else None
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    found = metrics.get(base)
    return found if found is not None and found.kind == "histogram" else None


@pytest.mark.parametrize("expression", EXPRESSIONS)
async def test_an_expression_names_what_there_is(expression: str) -> None:
    """Each metric is one that a process has, under that name; each label is one of it, with a value it may have."""
    metrics = {**await shown(), **PROMETHEUS_OWN}
    tree = parsed(expression)
    labels = set(FROM_THE_SCRAPE)
    selectors = selected(tree)
    assert selectors
    for name, matchers in selectors:
        metric = metric_of(name, metrics)
        assert metric is not None, f"there is no {name}"
        own = {*metric.labels, *FROM_THE_SCRAPE, *({"le"} if name.endswith("_bucket") else ())}
        assert set(matchers) <= own, f"{name} has the labels {sorted(own)}"
        for label, values in matchers.items():
            if label in VALUES:
                assert set(values) <= VALUES[label], f"{label} of {name}"
        labels |= own
    assert grouped(tree) <= labels


def test_a_metric_that_there_is_not_would_be_noticed() -> None:
    metrics = {"parley_a_total": Shown("parley_a_total", "counter", ("end",), ""), "h": Shown("h", "histogram", (), "")}
    assert metric_of("parley_a", metrics) is None
    assert metric_of("h", metrics) is None
    assert metric_of("h_bucket", metrics) is metrics["h"]
    with pytest.raises(ValueError, match="parenthesis"):
        parsed("sum by (end) (rate(parley_a_total[5m])")
    assert selected(parsed('rate(a{x=~"b|c"}[5m]) / on (y) sum by (z) (d)')) == [("a", {"x": ["b", "c"]}), ("d", {})]
    assert grouped(parsed("a / on (y) sum by (z) (d)")) == {"y", "z"}


# ── alerts and the runbook ───────────────────────────────────────────────────────────────────────────────────────


def test_every_alert_has_its_paragraph() -> None:
    """And every paragraph its alert; each says what an operator needs."""
    written = re.findall(r"^## (\w+)\n\n((?:.+\n)+)", RUNBOOK.read_text(), re.MULTILINE)
    assert [name for name, _ in written] == list(ALERTS)
    for name, paragraph in written:
        for part in ("**Means**", "**Look at**", "**Do**"):
            assert part in paragraph.replace("\n", " "), f"{name} does not say {part}"
        assert re.search(r"\*\*Users\s+see\*\*", paragraph), name


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_leads_to_its_paragraph(name: str) -> None:
    rule = ALERTS[name]
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in ("critical", "warning")


@pytest.mark.parametrize("page", ["runbook.md", "operations.md"])
def test_a_page_names_metrics_and_events_that_there_are(page: str, all_metrics: dict[str, Shown]) -> None:
    text = (ROOT / "docs" / page).read_text()
    named = set(re.findall(r"`((?:parley|process)_\w+)`", text))
    assert named
    assert named <= set(all_metrics)
    own = {name.partition(".")[0] for name in EVENTS}
    events = {one for one in re.findall(r"`([a-z]+\.[a-z_]+)`", text) if one.partition(".")[0] in own}
    assert events
    assert events <= EVENTS


@pytest.fixture
async def all_metrics() -> dict[str, Shown]:
    return await shown()


def test_every_alert_is_tried_to_fire_and_to_be_silent() -> None:
    tried: dict[str, set[bool]] = {}
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for one in case["alert_rule_test"]:
            tried.setdefault(one["alertname"], set()).add(bool(one["exp_alerts"]))
    assert tried == {name: {True, False} for name in ALERTS}


def test_the_job_of_the_expressions_is_the_one_that_is_scraped() -> None:
    """By the Prometheus Operator, which takes it from a label of the pods, and by the documented configuration."""
    (monitor,) = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "podmonitor.yaml").read_text())
    kustomization = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text())
    (labels,) = [one["pairs"] for one in kustomization["labels"] if one["includeTemplates"]]
    configuration = yaml.safe_load(block("docs/operations.md", "scrape_configs:").text)
    scraped = {labels[monitor["spec"]["jobLabel"]], *(one["job_name"] for one in configuration["scrape_configs"])}
    named = {
        job
        for expression in EXPRESSIONS
        for _, matchers in selected(parsed(expression))
        for job in matchers.get("job", ())
    }
    assert scraped == named == VALUES["job"]


# ── the programs' own checkers ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Prometheus' own checker: that of the machine, or Debian's, unpacked for these tests."""
    if (found := shutil.which("promtool")) is not None:
        return found
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("there is no promtool, and no apt-get to get it with")
    folder = tmp_path_factory.mktemp("prometheus")
    got = subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, capture_output=True, timeout=120)
    packages = list(folder.glob("prometheus_*.deb"))
    if got.returncode != 0 or not packages:
        pytest.skip("there is no promtool, and apt-get does not get it")
    subprocess.run(["dpkg-deb", "-x", packages[0], folder], check=True, timeout=60)
    return str(folder / "usr" / "bin" / "promtool")


def check(promtool: str, *arguments: str, cwd: Path = FOLDER) -> str:
    done = subprocess.run([promtool, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.installing
def test_prometheus_loads_the_rules(promtool: str) -> None:
    assert f"SUCCESS: {len(ALERTS)} rules found" in check(promtool, "check", "rules", RULES.name)


@pytest.mark.installing
def test_alerts_fire_for_what_they_are_for(promtool: str) -> None:
    """Evaluated by Prometheus' own engine."""
    assert "SUCCESS" in check(promtool, "test", "rules", CASES.name)


@pytest.mark.installing
def test_prometheus_loads_the_documented_configuration(promtool: str, tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(block("docs/operations.md", "scrape_configs:").text)
    assert "is valid" in check(promtool, "check", "config", "prometheus.yml", cwd=tmp_path)


def test_the_dashboard_is_what_the_script_writes() -> None:
    """`make metrics` writes it."""
    assert DASHBOARD.read_text() == text()


CHECKED = """
import type { Dashboard, Panel, RowPanel } from "@grafana/schema";
import type { Options } from
  "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// Grafana's enums as the words and numbers that stand in a file
type Written<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends (infer One)[] ? Written<One>[] : T extends object ? { [Key in keyof T]: Written<T[Key]> } : T;
type Target = { refId: string; datasource: { type: "prometheus"; uid: string }; expr: string; legendFormat: string };
type TimeSeries = Omit<Panel, "type" | "options" | "targets"> & {
  type: "timeseries"; options: Written<Options>; targets: Target[];
};
type Row = Omit<RowPanel, "type"> & { type: "row" };
type Checked = Omit<Written<Dashboard>, "panels"> & { panels: (TimeSeries | Row)[] };

export const dashboard = %s satisfies Checked;
"""


def test_the_dashboard_is_one_by_grafanas_types(tmp_path: Path) -> None:
    """And what is none is refused by them: a word that is no choice of an option, a name that is no field."""
    right, wrong = json.loads(DASHBOARD.read_text()), json.loads(DASHBOARD.read_text())
    wrong["panels"][1]["options"]["legend"]["displayMode"] = "sideways"
    misspelt = {**right, "grahpTooltip": 1}
    for name, dashboard in (("right", right), ("wrong", wrong), ("misspelt", misspelt)):
        (tmp_path / f"{name}.ts").write_text(CHECKED % json.dumps(dashboard))
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    compiler = str(ROOT / "node_modules" / ".bin" / "tsc")
    options = ("--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler")
    files = ("right.ts", "wrong.ts", "misspelt.ts")
    done = subprocess.run([compiler, *options, *files], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    said = done.stdout.splitlines()
    assert [line for line in said if line.startswith("right.ts")] == []
    assert any(line.startswith("wrong.ts") and "sideways" in line for line in said)
    assert any(line.startswith("misspelt.ts") and "grahpTooltip" in line for line in said)


def test_panels_have_places_of_their_own() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(places) == len(set(places))
    numbers = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
