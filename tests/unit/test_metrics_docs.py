"""docs/metrics.md and the alert rules say the same as the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

import sentryml_common.metrics
import sentryml_drift.metrics
import sentryml_incidents.metrics
import sentryml_ingest.metrics
import sentryml_notifier.metrics
import sentryml_tap.metrics
from sentryml_notifier.channels.slack_bot.api import EDIT_LOST
from sentryml_notifier.domain.delivery import Outcome
from sentryml_notifier.store.audit import Fault

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = (ROOT / "docs" / "metrics.md").read_text()
ROW = re.compile(r"^\| `(sentryml_\w+)` \| (\w+) \| (.+?) \| (.+) \|$", re.MULTILINE)
MODULES = (
    sentryml_common.metrics, sentryml_ingest.metrics, sentryml_drift.metrics, sentryml_incidents.metrics,
    sentryml_notifier.metrics, sentryml_tap.metrics,
)  # fmt: skip
METRICS = [each for module in MODULES for each in vars(module).values() if isinstance(each, MetricWrapperBase)]
PROMETHEUS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
RULE_TESTS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/tests/alerts.yml").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]


def row_of(metric: MetricWrapperBase) -> tuple[str, str, str, str]:
    name = metric._name + ("_total" if isinstance(metric, Counter) else "")
    labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "–"
    return name, metric._type, labels, metric._documentation


def test_every_metric_is_documented_as_it_is() -> None:
    assert sorted(ROW.findall(DOCS)) == sorted(row_of(metric) for metric in METRICS)
    assert len(METRICS) > 40


def test_outcomes_and_faults_are_explained() -> None:
    for each in (*Outcome, *Fault):
        assert f"`{each.value}`" in DOCS or each is Outcome.INTERRUPTED, each


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alert_rule_names_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    """Names and labels alone; whether the expression parses only Prometheus's own tool can say."""
    known = {name: set(re.findall(r"`(\w+)`", labels)) for name, _, labels, _ in ROW.findall(DOCS)} | {"up": {"job"}}
    used = set(re.findall(r"(?:sentryml_\w+|up)\b(?=[{\[) ])", rule["expr"]))
    assert used
    assert used <= known.keys()
    labels = set.union({"service"}, *(known[name] for name in used))
    grouped = {label for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in group.split(", ")}
    assert grouped <= labels
    assert set(re.findall(r'(\w+)(?:=|!=|=~|!~)"', rule["expr"])) <= labels
    assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= grouped
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}


def test_there_is_a_rule_for_each_way_of_falling_silent() -> None:
    assert {rule["alert"] for rule in RULES} >= {
        "SentryMLAuditOverdue", "SentryMLChannelBroken", "SentryMLDeliveryOverdue", "SentryMLOutboxOld",
        "SentryMLConsumerLag", "SentryMLDeadLetters", "SentryMLDeliveriesNotPublished", "SentryMLEditsFail",
        "SentryMLKafkaAway", "SentryMLIngestRefuses", "SentryMLNotCounted", "SentryMLNothingCommitted",
    }  # fmt: skip


def test_every_scraped_service_has_a_rule_that_fires_when_it_is_gone() -> None:
    [job] = PROMETHEUS["scrape_configs"]
    expressions = {rule["expr"]: rule["labels"].get("service") for rule in RULES}
    optional = {"tap"}
    for service in {*job["dns_sd_configs"][0]["names"]} - optional:
        assert expressions[f'absent(up{{job="{job["job_name"]}", service="{service}"}} == 1)'] == service
    assert {f"SentryML{name.capitalize()}Down" for name in optional} <= {rule["alert"] for rule in RULES}


def test_every_rule_is_seen_to_fire_and_not_to_fire() -> None:
    """On made-up series; `make test-alerts` runs them."""
    cases = [case for test in RULE_TESTS["tests"] for case in test["promql_expr_test"]]
    tried = [(re.findall(r'alertname="(\w+)"', case["expr"])[0], bool(case.get("exp_samples"))) for case in cases]
    assert {name for name, fires in tried if fires} == {rule["alert"] for rule in RULES}
    assert {name for name, fires in tried if not fires} == {rule["alert"] for rule in RULES}


def test_rule_about_edits_leaves_out_what_is_no_failure() -> None:
    (rule,) = (each["expr"] for each in RULES if each["alert"] == "SentryMLEditsFail")
    (outcomes,), (reasons,) = re.findall(r'outcome!~"(.*?)"', rule), re.findall(r'reason!~"(.*?)"', rule)
    assert outcomes.split("|") == [Outcome.DELIVERED, Outcome.RATE_LIMITED]
    assert set(reasons.split("|")) == EDIT_LOST


def test_prometheus_loads_the_rules() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert "./deploy/prometheus:/etc/prometheus:ro" in compose["services"]["prometheus"]["volumes"]
    assert PROMETHEUS["rule_files"] == ["alerts.yml"]
