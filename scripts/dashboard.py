"""The dashboard of Grafana: writes deploy/monitoring/dashboard.json. `make metrics` does this."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "deploy" / "monitoring" / "dashboard.json"
WIDTH, HEIGHT = 8, 8
"""Of a panel; a row of the dashboard has 24."""
SOURCE = {"type": "prometheus", "uid": "${source}"}
RATE = "[$__rate_interval]"
HERE = 'instance=~"$instance"'

Expressions = dict[str, str]
"""By their legends."""


def quantiles(metric: str, by: str = "") -> Expressions:
    """The half and the slowest of twenty."""
    labels = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return {
        f"p{share * 100:g}{legend}": f"histogram_quantile({share}, "
        f"sum by ({labels}) (rate({metric}_bucket{{{HERE}}}{RATE})))"
        for share in (0.5, 0.95)
    }


def rate(metric: str, by: str, matchers: str = "") -> Expressions:
    return {f"{{{{{by}}}}}": f"sum by ({by}) (rate({metric}{{{HERE}{matchers}}}{RATE}))"}


ROWS: dict[str, list[tuple[str, str, Expressions]]] = {
    "Turns": [
        ("Turns by end", "reqps", rate("parley_turns_total", "end")),
        ("First token", "s", quantiles("parley_turn_first_token_seconds", "model")),
        ("Whole turns", "s", quantiles("parley_turn_seconds", "model")),
        ("First sign of life", "s", quantiles("parley_turn_first_sign_seconds", "provider")),
        ("Being written", "short", {"{{kind}}": f"sum by (kind) (parley_replies_streaming{{{HERE}}})"}),
        ("Readers", "short", {"{{instance}}": f"sum by (instance) (parley_followers{{{HERE}}})"}),
    ],
    "Providers": [
        ("Calls by model", "reqps", rate("parley_provider_calls_total", "model")),
        ("Failures", "reqps", rate("parley_provider_failures_total", "error")),
        ("Calls by purpose", "reqps", rate("parley_provider_calls_total", "kind")),
        (
            "Breakers (0 closed, 1 cooling, 2 trying, 3 open)",
            "short",
            {"{{provider}} {{model}}": f"max by (provider, model) (parley_breaker_state{{{HERE}}})"},
        ),
        ("Tokens", "short", rate("parley_tokens_total", "direction")),
        (
            "Cost, USD an hour",
            "currencyUSD",
            {"{{model}}": f"sum by (model) (rate(parley_cost_micro_usd_total{{{HERE}}}[1h])) * 3600 / 1e6"},
        ),
        ("Searches beside turns", "s", quantiles("parley_turn_retrieval_seconds")),
    ],
    "Database": [
        ("Calls of functions", "s", quantiles("parley_supabase_call_seconds", "caller")),
        ("Failures", "reqps", rate("parley_supabase_failures_total", "reason")),
        ("Admission of turns", "s", quantiles("parley_turn_begin_seconds")),
        ("Journal: lag", "s", {"{{instance}}": f"max by (instance) (parley_journal_lag_seconds{{{HERE}}})"}),
        ("Journal: replies a call", "short", quantiles("parley_journal_batch_replies", "lane")),
        ("Journal: failures", "reqps", {"failures": f"sum(rate(parley_journal_failures_total{{{HERE}}}{RATE}))"}),
        (
            "Pools: share in use",
            "percentunit",
            {"{{pool}}": f"sum by (pool) (parley_pool_in_use{{{HERE}}}) / sum by (pool) (parley_pool_size{{{HERE}}})"},
        ),
        ("Pools: time waited a second", "s", rate("parley_pool_wait_seconds_total", "pool")),
        ("Queues", "short", {"{{queue}}": f"sum by (queue) (parley_queue_depth{{{HERE}}})"}),
        ("Documents to index", "short", {"{{state}}": "max by (state) (parley_index_jobs)"}),
        ("Oldest document that waits", "s", {"age": "max(parley_index_oldest_seconds)"}),
    ],
    "Requests and processes": [
        ("Requests by status", "reqps", rate("parley_http_requests_total", "status")),
        ("Problems", "reqps", rate("parley_problems_total", "code")),
        ("Refusals of limits", "reqps", rate("parley_limit_refusals_total", "limit")),
        (
            "Event loop lag, p99",
            "s",
            {
                "{{instance}}": "histogram_quantile(0.99, sum by (le, instance) "
                f"(rate(parley_event_loop_lag_seconds_bucket{{{HERE}}}{RATE})))"
            },
        ),
        ("CPU, cores", "short", {"{{instance}}": f'rate(process_cpu_seconds_total{{job="parley", {HERE}}}{RATE})'}),
        ("Memory", "bytes", {"{{instance}}": f'process_resident_memory_bytes{{job="parley", {HERE}}}'}),
        ("Warnings and errors of the log", "reqps", rate("parley_events_total", "event", ', event!="request.done"')),
        ("Releases", "short", {"{{version}}": f"count by (version) (parley_build_info{{{HERE}}})"}),
        (
            "Shutting down, or a job down",
            "short",
            {
                "draining {{instance}}": f"parley_draining{{{HERE}}}",
                "down {{instance}}": f"parley_jobs_down{{{HERE}}}",
            },
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """As Grafana imports it: it asks for the data source."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, contents in ROWS.items():
        panels.append(_row(len(panels) + 1, title, y))
        y += 1
        for place, (name, unit, expressions) in enumerate(contents):
            position = {"x": place % 3 * WIDTH, "y": y + place // 3 * HEIGHT, "w": WIDTH, "h": HEIGHT}
            panels.append(_panel(len(panels) + 1, name, unit, expressions, position))
        y += -(-len(contents) // 3) * HEIGHT
    return {
        "uid": "parley",
        "title": "Parley",
        "tags": ["parley"],
        "schemaVersion": 42,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "graphTooltip": 1,
        "templating": {
            "list": [
                {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"},
                {
                    "name": "instance",
                    "label": "Process",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": "label_values(parley_build_info, instance)",
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                    "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": panels,
    }


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    position = {"x": 0, "y": y, "w": 24, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": position, "panels": []}


def _panel(number: int, title: str, unit: str, expressions: Expressions, position: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for place, (legend, expression) in enumerate(expressions.items())
        ],
    }


def text() -> str:
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
