"""How a payload becomes the same fact in a neighbouring version. `ancestors` holds the casters.

Casters work on payload dicts, as decoded from the log's JSON, and return a new dict; longer ways
are walked one neighbour at a time. A field whose definition leaves its content open (a task's
result, an agent's metadata) is a msgspec.Raw, so that a cast passes it on to the byte. A caster
that has to look inside decodes it itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

from events.facts import JSON, Fact

Payload = dict[str, JSON]
Cast = Callable[[Payload], Payload]


@dataclass(frozen=True)
class Caster:
    """The way between a superseded definition and the version that came next, up and down."""

    definition: type[Fact]
    newer: str
    up: Cast
    down: Cast

    @property
    def type(self) -> str:
        return self.definition.wire_type()

    @property
    def older(self) -> str:
        return self.definition.version
