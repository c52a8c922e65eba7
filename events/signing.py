"""Who signs here, and whose signatures count: the keys that the environment names.

Never those of the database: whoever could rewrite a log there could also put in a key.
"""

from functools import cache
from urllib.parse import urlsplit

from django.conf import settings

from events.notes import Key, Signer


class NoSigningKey(Exception):
    """Nothing can be signed here."""

    def __init__(self) -> None:
        super().__init__(
            "There is no key to sign with. Set AGENTMESH_SIGNING_KEY "
            "(32 random bytes in base64: `openssl rand -base64 32`)."
        )


def key_name() -> str:
    """The name under which this installation signs: its public URL's host."""
    return urlsplit(settings.PUBLIC_URL).hostname or "agentmesh"


def signer() -> Signer | None:
    """Our own, None where no key is set."""
    return _signer(key_name(), settings.SIGNING_KEY) if settings.SIGNING_KEY else None


def keys() -> tuple[Key, ...]:
    """Every key whose signature counts: the one that signs now, then the earlier ones."""
    own = signer()
    earlier = tuple(_parsed(text) for text in settings.VERIFICATION_KEYS)
    return (own.key, *(key for key in earlier if key != own.key)) if own else earlier


@cache
def _signer(name: str, private: bytes) -> Signer:
    return Signer(name, private)


_parsed = cache(Key.parse)
