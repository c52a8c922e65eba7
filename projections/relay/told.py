"""What the log has been told, so that it is told of each change once and not of each attempt."""

import logging

logger = logging.getLogger("projections.relay")


class Told:
    """Remembers the last line of each topic."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def say(self, topic: str, level: int, line: str) -> None:
        """Log it, unless it is what was said of the topic last."""
        if self._last.get(topic) != line:
            self._last[topic] = line
            logger.log(level, line)

    def forget(self, topic: str) -> None:
        """It is over: the same line would be news again."""
        self._last.pop(topic, None)
