"""What is played beside the flights: a fault that three models have in common, and a model that falls silent.

On two days in April the models of the three airports predict without scores, as if the service that they get them from
were down: three incidents open at once, and Slack gets one message. The model of searches sends twice in each half
second, and then nothing for twelve days of the story. Its predictions are made up; those of the airports are
those of the flights.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from sentryml_local.demo.time_scale import SECONDS_PER_DAY, FlightDay, Story

Event = dict[str, Any]

AIRPORTS = {"EWR": "flights-newark", "JFK": "flights-kennedy", "LGA": "flights-la-guardia"}
WITHOUT_SCORES = (date(2013, 4, 22), date(2013, 4, 23))

SEARCH_MODEL = "flight-searches"
SEARCH_HISTORY_SECONDS, SEARCHES_PER_SECOND = 840, 4
"""A pace is known after 24 hours, of panes of half a second instead of a minute: after 720 seconds."""
SILENT = (date(2013, 5, 23), date(2013, 6, 4))
"""From the first to before the last of them. A model is silent after 15 panes at the earliest."""


def airport_of(name: str) -> str:
    """Where a flight departs, by its name: `2013-05-21 UA1545 EWR-IAH 0515`."""
    return name.split()[2].partition("-")[0]


def airport_events(story: Story, day: int, flights: FlightDay, rows: slice) -> Iterator[Event]:
    """Events of the three airports' models."""
    scored = not WITHOUT_SCORES[0] <= flights.date <= WITHOUT_SCORES[1]
    for moment, name, score, label in zip(
        flights.times[rows], flights.names[rows], flights.scores[rows], flights.labels[rows], strict=True
    ):
        yield {
            "model_id": AIRPORTS[airport_of(name)],
            "prediction": label,
            "score": float(score) if scored else None,
            "timestamp": story.time_of(day, float(moment)),
        }


def search_history(until: int) -> list[Event]:
    """Events of the model of searches from before an epoch second, without a gap up to that."""
    count = SEARCH_HISTORY_SECONDS * SEARCHES_PER_SECOND
    return [search_event(until - SEARCH_HISTORY_SECONDS + number / SEARCHES_PER_SECOND) for number in range(count)]


def searches_are_sent(story: Story, at: float) -> bool:
    """Whether the model of searches sends at an epoch second."""
    return not SILENT[0] <= story.date_of(int((at - story.start) // SECONDS_PER_DAY)) < SILENT[1]


def search_event(at: float) -> Event:
    """The event of an epoch second: one in four books; which one, does not depend on the time of day."""
    number = round(at * SEARCHES_PER_SECOND)
    return {"model_id": SEARCH_MODEL, "prediction": "books" if number % 4 == 0 else "looks", "timestamp": at}
