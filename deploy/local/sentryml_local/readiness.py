"""What a listening program still waits for, as text; None when it is ready."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request

from sentryml_local import postgres


def postgres_waits(port: int, password: str) -> str | None:
    """PostgreSQL is ready when it takes connections; our database is made the first time."""
    return None if asyncio.run(postgres.answers(port, password)) else "it takes no connections yet"


def service_waits(url: str) -> str | None:
    """One of our services says itself what it waits for."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2):
            return None
    except urllib.error.HTTPError as err:
        waiting = json.loads(err.read() or b"{}").get("waiting_for", {})
        return "; ".join(f"{what}: {why}" for what, why in waiting.items()) or f"HTTP {err.code}"
    except (OSError, ValueError) as err:
        return f"{url}/readyz does not answer ({err})"
