"""Which facts exist, in which versions, and how stored bytes become the newest form of one.

A version is a string such as "1.0"; of each type the versions stand in order, the newest last.
Whoever defines a fact in `vocabulary`, `tenant_facts` or `ancestors` has registered it.
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple, TypedDict, cast

import msgspec

from events import ancestors, tenant_facts, vocabulary
from events.casters import Cast, Caster, Payload
from events.facts import Fact


def _facts_of(module: ModuleType) -> tuple[type[Fact], ...]:
    """The facts that a module defines, in their order there."""
    return tuple(
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Fact) and each.__module__ == module.__name__
    )


DOMAIN_EVENTS = _facts_of(vocabulary)
TENANT_FACTS = _facts_of(tenant_facts)
ANCESTORS = tuple(fact for module in ancestors.modules() for fact in _facts_of(module))
CASTERS = tuple(
    each
    for module in ancestors.modules()
    for each in vars(module).values()
    if isinstance(each, Caster)
)


class Kind(NamedTuple):
    """One version of one type."""

    type: str
    version: str

    def __str__(self) -> str:
        return f"{self.type} {self.version}"


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


class MissingCaster(LookupError):
    """Two neighbouring versions have no caster between them: a fault of the release."""

    def __init__(self, type: str, older: str, newer: str) -> None:
        super().__init__(f"{type} has no caster from {older} to {newer}. Run manage.py check.")


def number(version: str) -> tuple[int, ...]:
    """What versions are ordered by: 1.10 comes after 1.9."""
    return tuple(int(part) for part in version.split("."))


def _versions_by_type() -> dict[str, dict[str, type[Fact]]]:
    found: dict[str, dict[str, type[Fact]]] = {}
    for fact in sorted((*ANCESTORS, *DOMAIN_EVENTS, *TENANT_FACTS), key=_place):
        found.setdefault(fact.wire_type(), {})[fact.version] = fact
    return found


def _place(fact: type[Fact]) -> tuple[int, ...]:
    return number(fact.version)


_VERSIONS = MappingProxyType(_versions_by_type())
_CASTERS = {(caster.type, caster.older, caster.newer): caster for caster in CASTERS}


def types() -> tuple[str, ...]:
    """Every type there is, in the order of the vocabulary."""
    return _TYPES


_TYPES = tuple(
    dict.fromkeys(fact.wire_type() for fact in (*DOMAIN_EVENTS, *TENANT_FACTS, *ANCESTORS))
)


def versions(type: str) -> tuple[str, ...]:
    """The versions of a type, the newest last. Raises UnknownFact."""
    if type not in _VERSIONS:
        raise UnknownFact(type)
    return tuple(_VERSIONS[type])


def kinds() -> tuple[Kind, ...]:
    """Every version of every type, the newest of a type last."""
    return tuple(Kind(name, version) for name in types() for version in versions(name))


@cache
def all_versions() -> tuple[str, ...]:
    """Every version that any type has, the lowest first: what a reader may pin."""
    return tuple(sorted({kind.version for kind in kinds()}, key=number))


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
    decode = _typed(type, wanted.version)
    if stored is wanted:
        return decode
    return lambda text: decode(recast(text, type, version, wanted.version))


@cache
def _typed(type: str, version: str) -> Callable[[bytes | str], Fact]:
    return msgspec.json.Decoder(fact_type(type, version)).decode


def recast(text: bytes | str, type: str, version: str, to_version: str) -> bytes:
    """The stored text of one version as JSON of another, up or down; what the definition leaves
    open comes through to the byte. Raises UnknownFact, and what a decoder raises."""
    if not _way(type, version, to_version):
        return text.encode() if isinstance(text, str) else text
    _typed(type, version)(text)  # a caster may rely on the shape that its version promises
    return _walk(text, type, version, to_version)


_encode = msgspec.json.encode


def _walk(text: bytes | str, type: str, version: str, to_version: str) -> bytes:
    payload = _payload(type, version)(text)
    for step in _way(type, version, to_version):
        payload = step(payload)
    return _encode(payload)


@cache
def _payload(type: str, version: str) -> Callable[[bytes | str], Payload]:
    """Decodes a payload into a dict, and leaves open fields as the text they are."""
    definition = msgspec.inspect.type_info(fact_type(type, version))
    fields = {
        field.encode_name: msgspec.Raw if _is_open(field.type) else Any
        for field in definition.fields  # type: ignore[attr-defined]  # a struct's
    }
    # Made of a definition, which the type checker cannot follow.
    shape: Any = TypedDict(type, fields, total=False)  # type: ignore[misc]
    return cast("Callable[[bytes | str], Payload]", msgspec.json.Decoder(shape).decode)


def _is_open(part: Any) -> bool:
    """Whether a definition's part may hold JSON of any shape."""
    if isinstance(part, tuple):
        return any(map(_is_open, part))
    if isinstance(part, msgspec.inspect.Type | msgspec.inspect.Field):
        parts = (getattr(part, name) for name in part.__struct_fields__)
        return isinstance(part, msgspec.inspect.AnyType) or any(map(_is_open, parts))
    return False


@cache
def _way(type: str, version: str, to_version: str) -> tuple[Cast, ...]:
    """The casters that lead from one version to another, in the order to apply them."""
    for each in (version, to_version):
        fact_type(type, each)
    order = versions(type)
    low, high = sorted((order.index(version), order.index(to_version)))
    steps = [_caster(type, *pair) for pair in pairwise(order[low : high + 1])]
    if order.index(version) == low:
        return tuple(step.up for step in steps)
    return tuple(step.down for step in reversed(steps))


def _caster(type: str, older: str, newer: str) -> Caster:
    try:
        return _CASTERS[type, older, newer]
    except KeyError:
        raise MissingCaster(type, older, newer) from None


def represent(event: Fact, pinned: str | None) -> Fact:
    """The event as a reader pinned to a schema version sees it, with the same envelope.

    That is the type's highest version up to `pinned`; None is the newest. A type that is younger
    than the pin's versions is served in its first, and what nobody has defined stays as it is.
    """
    if event.version not in _VERSIONS.get(event.type, ()):
        return event
    wanted = served(event.type, pinned)
    if wanted == event.version:
        return event
    text = _walk(_encode(event), event.type, event.version, wanted)
    other = _typed(event.type, wanted)(text)
    return other.with_envelope(event.envelope) if event.envelope else other


@cache
def served(type: str, pinned: str | None) -> str:
    """The highest version of the type that is not above `pinned` ("1.0"), or else its first; the
    newest for None. Raises UnknownFact."""
    if pinned is None:
        return versions(type)[-1]
    ceiling = number(pinned)
    fitting = [version for version in versions(type) if number(version) <= ceiling]
    return fitting[-1] if fitting else versions(type)[0]
