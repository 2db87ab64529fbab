"""Send predictions to SentryML: `sentryml.log("fraud", prediction="legit", score=0.07)`.

It never blocks the caller and never raises: a thread of its own sends, retries, and counts what it could not send. That
holds in asyncio too, so that there is one client for both. How to use it: docs/sending.md
"""

from __future__ import annotations

from sentryml.client import Client, close, configure, flush, log, stats
from sentryml.counts import Stats
from sentryml.watching import watch

__all__ = ["Client", "Stats", "close", "configure", "flush", "log", "stats", "watch"]
