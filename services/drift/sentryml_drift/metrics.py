"""Metrics of the drift service. Labels come from small closed sets, never from model ids."""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from sentryml_common.contracts.evaluation import Level

EVENTS = Counter(
    "sentryml_drift_events_total",
    "Prediction events read by the combiner, by outcome; repeated ones are not added to histograms.",
    ["outcome"],
)
PARTIALS_SENT = Counter("sentryml_drift_partials_sent_total", "Partials emitted by the combiner.")
BACKFILLED_WAITING = Gauge(
    "sentryml_drift_backfilled_waiting", "Panes of backfilled events that are counted but not emitted yet."
)
PARTIALS_APPLIED = Counter(
    "sentryml_drift_partials_applied_total", "Partials read by the processor, by outcome.", ["outcome"]
)
GAPS = Counter("sentryml_drift_gaps_total", "Gaps in the processor's input that were recovered by seeking back.")
BATCHES_DROPPED = Counter(
    "sentryml_drift_batches_dropped_total", "Batches dropped because the consumer group had rebalanced."
)
TABLE_WRITES = Counter("sentryml_drift_table_writes_total", "Keys written to the processor's tables.")
EVALUATIONS = Counter("sentryml_drift_evaluations_total", "Evaluations by level.", ["level"])
EVALUATIONS_SKIPPED = Counter(
    "sentryml_drift_evaluations_skipped_total", "Due evaluations that were skipped because newer ones were due."
)
RECOMPUTED = Counter("sentryml_drift_recomputed_total", "Past evaluations that were recomputed for previews.")
EVALUATION_DELAY = Gauge(
    "sentryml_drift_evaluation_delay_seconds", "How long the oldest evaluation of the last round was overdue."
)
EVALUATION_SECONDS = Histogram("sentryml_drift_evaluation_seconds", "Time of one evaluation.")
MODELS = Gauge("sentryml_drift_models", "Models this processor owns.")
PARTITIONS = Gauge("sentryml_drift_partitions", "Partitions of this processor, by the state of their table.", ["state"])
TABLE_VALUES = Gauge("sentryml_drift_table_values", "Values in the tables of this processor, updated once a minute.")
LAST_COMMIT = Gauge("sentryml_drift_last_commit_timestamp_seconds", "When the combiner last committed.")

for outcome in ("counted", "late", "future", "undecodable", "repeated"):
    EVENTS.labels(outcome=outcome)
for state in ("held", "recovering"):
    PARTITIONS.labels(state=state)
for outcome in ("applied", "ignored", "expired", "no_place", "undecodable"):
    PARTIALS_APPLIED.labels(outcome=outcome)
for level in Level:
    EVALUATIONS.labels(level=level.value)

OF_COMBINER = (EVENTS, PARTIALS_SENT, BACKFILLED_WAITING, LAST_COMMIT)
OF_PROCESSOR = (
    PARTIALS_APPLIED, GAPS, BATCHES_DROPPED, TABLE_WRITES, EVALUATIONS, EVALUATIONS_SKIPPED, RECOMPUTED,
    EVALUATION_DELAY, EVALUATION_SECONDS, MODELS, PARTITIONS, TABLE_VALUES,
)  # fmt: skip


def leave_out(metrics: tuple[Counter | Gauge | Histogram, ...]) -> None:
    """Do not export these: in this process they would stay at 0, as if there were nothing to count."""
    for metric in metrics:
        REGISTRY.unregister(metric)
