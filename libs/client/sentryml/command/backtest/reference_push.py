"""A reference from the events of a file: the histogram is made here, and nothing else leaves.

Numbers are counted in the cells of the services, each sent as one number in it: so nothing is lost that a comparison
would see.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from sentryml.command.api import Api, Refused, model_path
from sentryml.command.backtest.reading import read_events
from sentryml.command.terminal import FAILED, OK, Failed, Terminal
from sentryml_lifecycle.backtest.events import NUMBER, Events
from sentryml_statistics.histograms.cell_counts import CellCounts
from sentryml_statistics.histograms.cells import representative

MOST_ENTRIES = 1_024
MOST_BYTES = 64 * 1024


def push(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Make the reference of each model in the file, and put it in force."""
    bodies = {
        model_id: body_of(model_id, events)
        for model_id, events in read_events(arguments, terminal, timed=False).items()
    }
    for model_id, body in bodies.items():
        terminal.say(f"{model_id}: {_summary(body)}")
    if arguments.dry_run:
        terminal.result(bodies)
        terminal.say("Nothing was sent (--dry-run).")
        return OK
    kept = []
    with Api(arguments.url) as api:
        for model_id, body in bodies.items():
            try:
                kept.append(api.put(model_path(model_id, "reference"), body))
            except Refused as err:
                for text in (str(err), *(f"{each.get('field')}: {each.get('reason')}" for each in err.errors)):
                    terminal.warn(text)
                continue
            terminal.say(f"{model_id}: in force, compared within an hour.")
    terminal.result(kept)
    return OK if len(kept) == len(bodies) else FAILED


def body_of(model_id: str, events: Events) -> dict[str, Any]:
    """What to send.

    Raises:
        Failed: it would be too large.
    """
    counts = events.counts(0, len(events))
    places, counted = np.unique(events.categories[events.categories != NUMBER], return_counts=True)
    names = {events.names[place]: count for place, count in zip(places.tolist(), counted.tolist(), strict=True)}
    prediction = {"categories": names, "numbers": _numbers(counts.prediction.numbers)}
    if len(names) + len(prediction["numbers"]) > MOST_ENTRIES:
        raise Failed(
            f"{model_id} has {len(names):,} different predictions, and a reference holds {MOST_ENTRIES:,}: group them"
        )
    body = {
        "events": len(events),
        "score": {"numbers": _numbers(counts.score.numbers), "nulls": counts.score.nulls},
        "prediction": prediction,
    }
    if len(json.dumps(body).encode()) > MOST_BYTES:
        raise Failed(f"{model_id}: the names of its predictions are too long for a reference (64 KB): group them")
    return body


def _numbers(counts: CellCounts) -> list[tuple[float, int]]:
    cells = zip(counts.cells, counts.count_array.tolist(), strict=True)
    return [(representative(int(cell), counts.dropped), count) for cell, count in cells]


def _summary(body: dict[str, Any]) -> str:
    score, prediction = body["score"], body["prediction"]
    scores = f"{len(score['numbers']):,} values of the score" if score["numbers"] else "no score"
    predictions = len(prediction["categories"]) + len(prediction["numbers"])
    return f"{body['events']:,} events; {scores}; {predictions:,} different predictions"
