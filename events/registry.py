"""Which facts exist, in which versions, and how stored bytes become the newest form of one.

A version is a string such as "1.0"; of each type the versions stand in order, the newest last.
"""

from collections.abc import Callable
from functools import cache
from types import MappingProxyType

import msgspec

from events import ancestors, tenant_facts, vocabulary
from events.casters import CASTERS, Cast, Payload
from events.facts import Fact

DOMAIN_EVENTS: tuple[type[Fact], ...] = (
    vocabulary.AgentCreatedEvent,
    vocabulary.AgentActivatedEvent,
    vocabulary.AgentCapabilityAddedEvent,
    vocabulary.AgentCapabilityUpgradedEvent,
    vocabulary.AgentTaskAssignedEvent,
    vocabulary.AgentTaskCompletedEvent,
    vocabulary.AgentTaskFailedEvent,
    vocabulary.AgentStatusChangedEvent,
    vocabulary.AgentHealthCheckPassedEvent,
    vocabulary.AgentHealthCheckFailedEvent,
    vocabulary.AgentPausedEvent,
    vocabulary.AgentResumedEvent,
    vocabulary.AgentTerminatedEvent,
    vocabulary.AgentDetailsChangedEvent,
)
TENANT_FACTS: tuple[type[Fact], ...] = (
    tenant_facts.MemberAdded,
    tenant_facts.MemberChanged,
    tenant_facts.MemberRemoved,
    tenant_facts.TokenIssued,
    tenant_facts.TokenRevoked,
    tenant_facts.SettingsChanged,
    tenant_facts.SignedIn,
    tenant_facts.SignInFailed,
    tenant_facts.AccessDenied,
    tenant_facts.LogExported,
    tenant_facts.PayloadErased,
    tenant_facts.TenantViewedBySuperuser,
)
# Of one type, oldest first.
ANCESTORS: tuple[type[Fact], ...] = (ancestors.AgentTaskCompletedEventV1,)


class UnknownFact(LookupError):
    """No fact has this type, or this version of it. `version` is None when no version was asked."""

    def __init__(self, type: str, version: str | None = None) -> None:
        if type in _VERSIONS:
            detail = f"{type} has no version {version}; it has {', '.join(_VERSIONS[type])}."
        else:
            detail = f"{type} is no fact that this release knows. Use a release that does."
        super().__init__(detail)
        self.type = type
        self.version = version


def _versions_by_type() -> dict[str, dict[str, type[Fact]]]:
    found: dict[str, dict[str, type[Fact]]] = {}
    for fact in (*ANCESTORS, *DOMAIN_EVENTS, *TENANT_FACTS):
        found.setdefault(fact.wire_type(), {})[fact.version] = fact
    return found


_VERSIONS = MappingProxyType(_versions_by_type())
_UP = {(caster.type, caster.older): caster for caster in CASTERS}
_DOWN = {(caster.type, caster.newer): caster for caster in CASTERS}


def types() -> tuple[str, ...]:
    """Every type there is."""
    return tuple(_VERSIONS)


def versions(type: str) -> tuple[str, ...]:
    """The versions of a type, the newest last. Raises UnknownFact."""
    if type not in _VERSIONS:
        raise UnknownFact(type)
    return tuple(_VERSIONS[type])


@cache
def all_versions() -> tuple[str, ...]:
    """Every version that any type has, the lowest first: what a reader may pin."""
    return tuple(sorted({each for of_type in _VERSIONS.values() for each in of_type}, key=_number))


def fact_type(type: str, version: str) -> type[Fact]:
    """The definition of one version of a type. Raises UnknownFact."""
    try:
        return _VERSIONS[type][version]
    except KeyError:
        raise UnknownFact(type, version) from None


def newest(type: str) -> type[Fact]:
    """The definition that is recorded today. Raises UnknownFact."""
    return fact_type(type, versions(type)[-1])


@cache
def decoder(type: str, version: str) -> Callable[[bytes | str], Fact]:
    """Turns the stored text of one version straight into a fact of the newest. Raises UnknownFact.

    The decoder itself raises msgspec.DecodeError for text that is no JSON, and its subclass
    msgspec.ValidationError for JSON that is not this fact.
    """
    stored, wanted = fact_type(type, version), newest(type)
    if stored is wanted:
        return msgspec.json.Decoder(wanted).decode
    as_stored = msgspec.json.Decoder(stored)
    payload_of = msgspec.json.Decoder(Payload).decode

    def decode_and_cast(text: bytes | str) -> Fact:
        as_stored.decode(text)  # a caster may rely on the shape that its version promises
        return msgspec.convert(cast(payload_of(text), type, version, wanted.version), wanted)

    return decode_and_cast


def cast(payload: Payload, type: str, version: str, to_version: str) -> Payload:
    """The payload of one version in the form of another, up or down. Raises UnknownFact."""
    for step in _way(type, version, to_version):
        payload = step(payload)
    return payload


@cache
def _way(type: str, version: str, to_version: str) -> tuple[Cast, ...]:
    """The casters that lead from one version to another, in the order to apply them."""
    for each in (version, to_version):
        fact_type(type, each)
    order = versions(type)
    start, end = order.index(version), order.index(to_version)
    if start <= end:
        return tuple(_UP[type, older].up for older in order[start:end])
    return tuple(_DOWN[type, newer].down for newer in reversed(order[end + 1 : start + 1]))


def represent(event: Fact, pinned: str | None) -> Fact:
    """The event as a reader pinned to a schema version sees it, with the same envelope.

    That is the type's highest version up to `pinned`; None is the newest. A type that is younger
    than the pin's versions is served in its first.
    """
    if pinned is None:
        return event
    wanted = at_most(event.type, pinned)
    if wanted == event.version:
        return event
    payload = cast(msgspec.to_builtins(event), event.type, event.version, wanted)
    older = msgspec.convert(payload, fact_type(event.type, wanted))
    return older.with_envelope(event.envelope) if event.envelope else older


@cache
def at_most(type: str, pinned: str) -> str:
    """The highest version of the type that is not above `pinned` ("1.0"), or else its first."""
    ceiling = _number(pinned)
    fitting = [version for version in versions(type) if _number(version) <= ceiling]
    return fitting[-1] if fitting else versions(type)[0]


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
