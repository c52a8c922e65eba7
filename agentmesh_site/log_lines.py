"""How a line of the process's log looks: as text for people, or as JSON for machines.

Both say what `events.telling` knows of the request or the turn, both are one line for each record
whatever a client has sent (the frames of an exception, in text, are indented), and neither lets a
token of ours through. JSON is written here, twenty lines over the standard library: the packages
for it bring a configuration of their own and leave the names and the redaction to be written still.
"""

import json
import logging
import re
from datetime import UTC, datetime

from events.telling import told

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")
SAID = "said"  # the attribute of a record that holds values beside its message

_SECRET = re.compile(r"\bam_[A-Za-z0-9_-]{16,}|(?i:\b(bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}")
# What ends a line for some reader or moves a terminal's cursor.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def redacted(text: str) -> str:
    return _SECRET.sub(lambda match: f"{match[1]} [redacted]" if match[1] else "[redacted]", text)


def on_one_line(text: str) -> str:
    """Control characters as Python writes them."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


class Text(logging.Formatter):
    """`time LEVEL logger: message`, and behind it what else is known, as `name=value`."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the library's name
        values = " ".join(
            f"{name}={value}" for name, value in _known(record).items() if value is not None
        )
        line = f"{_time(record)} {record.levelname} {record.name}: {record.message}"
        return on_one_line(f"{line} [{values}]" if values else line)

    def format(self, record: logging.LogRecord) -> str:
        # The first line is the message; what follows are frames, and a stranger's words in them.
        first, *frames = redacted(super().format(record)).split("\n")
        return "\n".join([first, *(f"  {on_one_line(frame)}" for frame in frames)])


class Json(logging.Formatter):
    """One object in ASCII, so that nothing in it ends the line or needs an encoding."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in _known(record).items() if value is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        # Before it is quoted, since a quotation mark may follow a secret.
        return redacted(json.dumps(line, default=str))


def _known(record: logging.LogRecord) -> dict[str, object]:
    return {**told(), **getattr(record, SAID, {})}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def configuration(log_format: str, level: str, *, access: bool) -> dict[str, object]:
    """Django's LOGGING. Other packages' debugging may quote headers, so it is never asked for."""
    name = level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"()": "agentmesh_site.log_lines.Text"},
            "json": {"()": "agentmesh_site.log_lines.Json"},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": log_format}},
        "root": {"handlers": ["stderr"], "level": "ERROR" if level == "error" else "WARNING"},
        "loggers": {
            "django": {
                "handlers": [],
                "level": "INFO" if level == "debug" else name,
                "propagate": True,
            },
            # What a client did wrong is the client's to know; of requests we log what we did wrong.
            "django.request": {"level": "ERROR"},
            **{
                room: {"level": name}
                for room in ("agentmesh_site", "agents", "events", "projections")
            },
            "agentmesh_site.access": {"level": name if access else "ERROR"},
        },
    }
