"""Structured logs: one line per unit of work, facts as keys; JSON for machines, colours on a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer

from sentryml_common.contracts.api_key import without_keys
from sentryml_common.settings import LogSettings

OURS = "sentryml"
"""The parent of our loggers, so that the level in the settings is ours alone."""


def _to_json(event: dict[str, Any], **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _mask_keys(_: Any, __: str, line: Any) -> str:
    """The last step of every line, ours or a library's: API keys are removed from it."""
    return without_keys(line)


def configure_logging(service: str, settings: LogSettings) -> None:
    """Send our own and the libraries' logs through one chain to standard error."""
    json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if json:
        # Locals stay out of tracebacks: they hold keys and webhook addresses.
        transformer = ExceptionDictTransformer(show_locals=False)
        renderers: list[Any] = [
            structlog.processors.ExceptionRenderer(transformer),
            structlog.processors.JSONRenderer(serializer=_to_json),
        ]
    else:
        renderers = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level.upper()),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers, _mask_keys],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # Libraries log from warnings on: below that, an HTTP client prints secret webhook addresses.
    logging.getLogger(OURS).setLevel(settings.log_level.upper())
    # aiokafka reports each retry while a broker is away; we log once what we wait for.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.contextvars.bind_contextvars(service=service)


def get_logger(name: str) -> Any:
    """A structured logger: `log.info("incident_opened", model_id=…)`."""
    return structlog.stdlib.get_logger(f"{OURS}.{name}")
