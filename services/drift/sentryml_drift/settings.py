"""Settings of the drift service; combiner and processor share them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from sentryml_common.contracts.monitor import DAY
from sentryml_common.settings import InternalSettings, ServiceSettings


class DriftSettings(ServiceSettings, InternalSettings):
    """What combiner and processor need beside the common settings."""

    fine_pane_seconds: float = Field(
        60.0, ge=0.1, le=3600, description="Length of a fine pane; a coarse pane is 60 times as long."
    )
    emit_seconds: float | None = Field(
        None, gt=0, le=60, description="Time between emissions of the combiner; null: 5 s, or a quarter of a fine pane."
    )
    allowed_lateness_seconds: float | None = Field(
        None, ge=0, le=600, description="How long an evaluation waits for late events; null: emission + 2 s."
    )
    longest_window_seconds: float = Field(
        35 * DAY, gt=0, description="Events older than their record by more than this are late, and left out."
    )
    future_limit_seconds: float = Field(
        300.0, ge=0, description="Events ahead of their record by more than this are left out."
    )
    store: Literal["rocksdb", "memory"] = Field("rocksdb", description="Where the processor keeps its tables.")
    state_dir: Path = Field(Path(".sentryml-state"), description="Folder of the processor's tables (rocksdb).")
    batch_seconds: float = Field(1.0, gt=0, le=10, description="Longest time in which a batch is collected.")
    activity_seconds: float = Field(5.0, gt=0, description="Shortest time between two activity records of a model.")
    session_timeout_seconds: float = Field(
        15.0, ge=1, le=300, description="A worker that sends no heartbeat for this long loses its partitions."
    )

    stall_seconds: float = Field(
        60.0, ge=5, le=3600, description="A worker exits, to be restarted, if input waits this long without progress."
    )

    @property
    def emit_interval(self) -> float:
        """Seconds between emissions of the combiner."""
        return self.emit_seconds if self.emit_seconds is not None else min(5.0, self.fine_pane_seconds / 4)

    @property
    def allowed_lateness(self) -> float:
        """Seconds an evaluation waits for the events of its last pane."""
        return self.allowed_lateness_seconds if self.allowed_lateness_seconds is not None else self.emit_interval + 2.0
