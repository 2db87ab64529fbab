"""Hold schedules as people write them: `mon-fri 18:00-08:00` and `2026-12-24 18:00 to 2026-12-27 08:00 for fraud-*`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sentryml_notifier.domain.holding.schedule import DAY_MINUTES, LONGEST, Hours, Weekly, Window

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAILY = "daily"
MODEL_PATTERN = r"[A-Za-z0-9._:*?\[\]!-]{1,128}"
HOURS = re.compile(r"(?P<days>[a-z,-]{3,60}) +(?P<start>\d{1,2}:\d{2}) *- *(?P<end>\d{1,2}:\d{2})", re.IGNORECASE)
MOMENT = r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2})"
WINDOW = re.compile(
    rf"{MOMENT} +to +{MOMENT}(?: +every +(\d{{1,3}}) +days?)?(?: +for((?: +{MODEL_PATTERN}){{1,20}}))?", re.IGNORECASE
)
WEEKLY = re.compile(r"([a-z]{3}) +(\d{1,2}:\d{2})", re.IGNORECASE)
WEEKLY_EXAMPLE = "mon 09:00"
HOURS_EXAMPLE, WINDOW_EXAMPLE = "mon-fri 18:00-08:00", "2026-12-24 18:00 to 2026-12-27 08:00"


def read_hours(text: str) -> Hours:
    """Hours of the week.

    Raises:
        ValueError: it says none; the message says how they are written.
    """
    found = HOURS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"hours are written like “{HOURS_EXAMPLE}”, “sat,sun 08:00-08:00” or “daily 22:00-06:00”")
    return Hours(_days(found["days"].lower()), _minutes(found["start"]), _minutes(found["end"]))


def read_window(text: str) -> Window:
    """A planned window.

    Raises:
        ValueError: it says none; the message says how one is written, or what is wrong with its times.
    """
    found = WINDOW.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"a window is written like “{WINDOW_EXAMPLE}”; “every 7 days” and “for fraud-* risk-*” may follow"
        )
    begins, ends = _moment(found[1], found[2]), _moment(found[3], found[4])
    every_days = int(found[5]) if found[5] else None
    if ends <= begins:
        raise ValueError("the window ends before it begins")
    if ends - begins > LONGEST:
        raise ValueError(f"the window is longer than {LONGEST.days} days")
    if every_days is not None and ends - begins >= timedelta(days=every_days):
        raise ValueError("the window is not over when it begins again")
    return Window(begins, ends, every_days, tuple((found[6] or "").split()))


def read_weekly(text: str) -> Weekly:
    """When a weekly summary is sent.

    Raises:
        ValueError: it says no day and time; the message says how they are written.
    """
    found = WEEKLY.fullmatch(text.strip())
    if found is None or found[1].lower() not in DAYS:
        raise ValueError(f"a weekly summary is at a day and a time, like “{WEEKLY_EXAMPLE}”")
    minutes = _minutes(found[2])
    if minutes == DAY_MINUTES:
        raise ValueError("write 00:00 of the next day instead of 24:00")
    return Weekly(DAYS.index(found[1].lower()), minutes)


def _days(text: str) -> frozenset[int]:
    if text == DAILY:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"{part} is no day: days are {', '.join(DAYS)}, a range like mon-fri, or daily")
        start, end = DAYS.index(first), DAYS.index(last or first)
        found.update(day % 7 for day in range(start, end + 1 if end >= start else end + 8))
    return frozenset(found)


def _minutes(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > DAY_MINUTES:
        raise ValueError(f"{text} is no time: times are 00:00 to 24:00")
    return hours * 60 + minutes


def _moment(day: str, at: str) -> datetime:
    try:
        return datetime.strptime(f"{day} {at}", "%Y-%m-%d %H:%M")  # noqa: DTZ007 the zone is the route's
    except ValueError:
        raise ValueError(f"{day} {at} is no date and time") from None
