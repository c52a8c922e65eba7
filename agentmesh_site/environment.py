"""What AgentMesh reads from the environment, checked before anything else happens.

`read` turns the environment into an `Environment` or raises `WrongSetting`, whose text is one line:
the setting, what is wrong with it, what to do. Values that may hold a secret are never quoted.
A variable that is set but blank counts as not set, as env files write it.
"""

import base64
import binascii
import difflib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agentmesh_site.log_lines import FORMATS, LEVELS
from events.notes import BadKey, Key
from events.ratelimits.scopes import SECONDS, Scope

KNOWN = frozenset(
    {
        "AGENTMESH_SECRET_KEY",
        "AGENTMESH_HOST",
        "AGENTMESH_ALLOWED_HOSTS",
        "AGENTMESH_PUBLIC_URL",
        "AGENTMESH_TRUSTED_PROXIES",
        "AGENTMESH_DEBUG",
        "AGENTMESH_SIGNING_KEY",
        "AGENTMESH_VERIFICATION_KEYS",
        "AGENTMESH_ENCRYPTION_KEYS",
        "AGENTMESH_NATS_URL",
        "AGENTMESH_RATE_LIMITS",
        "AGENTMESH_METRICS_TOKEN",
        "AGENTMESH_METRICS_DIR",
        "AGENTMESH_EXPECT_WORKER",
        "AGENTMESH_LOG_FORMAT",
        "AGENTMESH_LOG_LEVEL",
        "AGENTMESH_ACCESS_LOG",
    }
)
FOR_TESTS = "AGENTMESH_TEST_"

KEY_BYTES = 32
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_METRICS_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}")
_RATE = re.compile(rf"([a-z][a-z_]*)=([1-9][0-9]{{0,8}})/({'|'.join(SECONDS)})")
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


class WrongSetting(Exception):
    """A setting that AgentMesh cannot start with. `str()` of it is one line for the operator."""

    def __init__(self, name: str, wrong: str, remedy: str) -> None:
        super().__init__(f"{name} {wrong}. {remedy}")
        self.name = name


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The environment, parsed. Fields are named after their variables."""

    host: str
    port: int
    public_url: str
    allowed_hosts: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    debug: bool
    secret_key: str | None  # None: nobody but this machine can reach us, so a local key will do
    signing_key: bytes | None  # the 32 bytes of an Ed25519 private key
    verification_keys: tuple[str, ...]  # of those that signed before: <name>+<id>+<base64>
    encryption_keys: tuple[bytes, ...]  # 32 bytes each; the first encrypts, all decrypt
    nats_urls: tuple[str, ...]
    rate_limits: Mapping[str, str]  # scope → "<count>/<period>"
    metrics_token: str | None  # None: metrics are for this machine alone
    metrics_dir: Path | None  # where processes count together; None: `serve` makes one
    expect_worker: bool | None  # is it ready while no worker is seen? None: `serve` knows
    log_format: str
    log_level: str
    access_log: bool

    is_local: bool  # nobody but this machine can reach us

    @property
    def https(self) -> bool:
        return self.public_url.startswith("https://")


def read(environ: Mapping[str, str]) -> Environment:
    """The settings in `environ`; raises WrongSetting at the first one that cannot be used."""
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    _refuse_unknown(given)
    host = _host(given.get("AGENTMESH_HOST", "127.0.0.1"))
    port = _port(given.get("PORT", "8000"))
    public_url = _public_url(given.get("AGENTMESH_PUBLIC_URL"), host, port)
    allowed_hosts = _allowed_hosts(given.get("AGENTMESH_ALLOWED_HOSTS"), host, public_url)
    visitors = _reachable_from_elsewhere(host, allowed_hosts)
    log_format = _one_of(given, "AGENTMESH_LOG_FORMAT", FORMATS, "json" if visitors else "text")
    return Environment(
        host=host,
        port=port,
        public_url=public_url,
        allowed_hosts=allowed_hosts,
        trusted_proxies=_trusted_proxies(given.get("AGENTMESH_TRUSTED_PROXIES", "")),
        debug=_debug(given, visitors),
        secret_key=_secret_key(given.get("AGENTMESH_SECRET_KEY"), visitors),
        signing_key=_signing_key(given.get("AGENTMESH_SIGNING_KEY")),
        verification_keys=_verification_keys(given.get("AGENTMESH_VERIFICATION_KEYS", "")),
        encryption_keys=_encryption_keys(given.get("AGENTMESH_ENCRYPTION_KEYS", "")),
        nats_urls=_nats_urls(given.get("AGENTMESH_NATS_URL", "")),
        rate_limits=_rate_limits(given.get("AGENTMESH_RATE_LIMITS", "")),
        metrics_token=_metrics_token(given.get("AGENTMESH_METRICS_TOKEN")),
        metrics_dir=_metrics_dir(given.get("AGENTMESH_METRICS_DIR")),
        expect_worker=_expect_worker(given),
        log_format=log_format,
        log_level=_one_of(given, "AGENTMESH_LOG_LEVEL", LEVELS, "info"),
        access_log=_yes_or_no(given, "AGENTMESH_ACCESS_LOG", default=log_format == "json"),
        is_local=visitors is None,
    )


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address, IPv6 with or without brackets) is this machine only."""
    bare = host.strip("[]").rstrip(".").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def split_url(name: str, text: str) -> SplitResult:
    """`urlsplit`, with its refusals (a bad port, half an IPv6 address) as WrongSetting."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # parsed only when asked for
    except ValueError as error:
        raise WrongSetting(name, "is not a URL", "Look at its host and port.") from error
    return parts


def _quoted(text: str) -> str:
    """`text` for a message: on one line and not without end."""
    return repr(text if len(text) <= 80 else text[:77] + "...")  # noqa: PLR2004 -- one line


def _items(text: str) -> list[str]:
    return [item for item in (part.strip() for part in text.split(",")) if item]


def _refuse_unknown(given: Mapping[str, str]) -> None:
    for name in sorted(given):
        if not name.startswith("AGENTMESH_") or name.startswith(FOR_TESTS) or name in KNOWN:
            continue
        near = difflib.get_close_matches(name, KNOWN, n=1)
        meant = f"Did you mean {near[0]}?" if near else "The README lists the settings."
        raise WrongSetting(name, "is not a setting of AgentMesh", f"{meant} Unset it otherwise.")


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        looks_like_an_address = text.replace(".", "").isdigit()
        if _HOSTNAME.fullmatch(text) and not looks_like_an_address:
            return text
    raise WrongSetting(
        "AGENTMESH_HOST",
        f"is {_quoted(text)}, which is no address and no host name",
        "Give the address to listen on, such as 127.0.0.1 or 0.0.0.0; the port goes into PORT.",
    )


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535:  # noqa: PLR2004
        return int(text)
    raise WrongSetting("PORT", f"is {_quoted(text)}", "Give a whole number from 1 to 65535.")


def _public_url(text: str | None, host: str, port: int) -> str:
    if text is None:
        address = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 -- compared only
        return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
    name, remedy = "AGENTMESH_PUBLIC_URL", "Give an origin such as https://mesh.example.org."
    parts = split_url(name, text)
    if parts.username is not None or parts.password is not None:
        raise WrongSetting(name, "holds a user name or a password", remedy)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise WrongSetting(name, f"is {_quoted(text)}, which is no http or https URL", remedy)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise WrongSetting(name, f"is {_quoted(text)}, which goes on after the host", remedy)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _allowed_hosts(text: str | None, host: str, public_url: str) -> tuple[str, ...]:
    public = urlsplit(public_url).hostname or ""
    hosts = ["localhost", "127.0.0.1", "[::1]", host] if text is None else []
    for item in _items(text or ""):
        address = item.startswith("[") and item.endswith("]") and ":" in item
        if not (item == "*" or address or _HOSTNAME.fullmatch(item.removeprefix("."))):
            raise WrongSetting(
                "AGENTMESH_ALLOWED_HOSTS",
                f"names {_quoted(item)}, which is no host name",
                "Give names without scheme and port, separated by commas.",
            )
        hosts.append(item.lower())
    hosts.append(public)
    bracketed = (f"[{name}]" if ":" in name and "[" not in name else name for name in hosts)
    return tuple(dict.fromkeys(bracketed))


def _reachable_from_elsewhere(host: str, allowed_hosts: tuple[str, ...]) -> str | None:
    """Why others than this machine can be expected as visitors; None when they cannot."""
    if not is_loopback(host):
        return f"AgentMesh listens on {host}"
    stranger = next((name for name in allowed_hosts if not is_loopback(name)), None)
    return f"AgentMesh answers to {stranger}" if stranger else None


def _trusted_proxies(text: str) -> tuple[str, ...]:
    for item in _items(text):
        try:
            ipaddress.ip_network(item)
        except ValueError as error:
            raise WrongSetting(
                "AGENTMESH_TRUSTED_PROXIES",
                f"names {_quoted(item)}, which is no address and no network",
                "Give addresses or networks such as 10.0.0.7 or 10.0.0.0/24, separated by commas.",
            ) from error
    return tuple(_items(text))


def _yes_or_no(given: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = given.get(name, "1" if default else "0")
    if text.lower() not in _YES | _NO:
        raise WrongSetting(name, f"is {_quoted(text)}", "Give 1 or 0.")
    return text.lower() in _YES


def _expect_worker(given: Mapping[str, str]) -> bool | None:
    name = "AGENTMESH_EXPECT_WORKER"
    return _yes_or_no(given, name, default=False) if name in given else None


def _one_of(given: Mapping[str, str], name: str, choices: Sequence[str], default: str) -> str:
    text = given.get(name, default)
    if text.lower() not in choices:
        raise WrongSetting(name, f"is {_quoted(text)}", f"Give one of {', '.join(choices)}.")
    return text.lower()


def _debug(given: Mapping[str, str], visitors: str | None) -> bool:
    debug = _yes_or_no(given, "AGENTMESH_DEBUG", default=False)
    if debug and visitors:
        raise WrongSetting(
            "AGENTMESH_DEBUG",
            f"is on while {visitors}",
            "Turn it off: its error pages show strangers the inside.",
        )
    return debug


def _secret_key(text: str | None, visitors: str | None) -> str | None:
    name = "AGENTMESH_SECRET_KEY"
    remedy = (
        "Give at least 50 random characters, such as those of "
        "`python3 -c 'import secrets; print(secrets.token_urlsafe(50))'`."
    )
    if text is None:
        if visitors:
            raise WrongSetting(name, f"is not set while {visitors}", remedy)
        return None
    if len(text) < 50 or len(set(text)) < 5:  # noqa: PLR2004 -- Django's own measure, security.W009
        raise WrongSetting(name, "is too short or too uniform", remedy)
    return text


def _base64_key(text: str) -> bytes | None:
    """32 bytes out of base64, plain or URL-safe; None when the text is anything else."""
    try:
        plain = text.replace("-", "+").replace("_", "/")
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def _signing_key(text: str | None) -> bytes | None:
    if text is None:
        return None
    if text.startswith("-----BEGIN"):
        try:
            # Env files cannot hold line breaks, so "\n" may stand for one.
            pem = load_pem_private_key(text.replace("\\n", "\n").encode(), password=None)
        except (ValueError, TypeError):
            pem = None
        key = pem.private_bytes_raw() if isinstance(pem, Ed25519PrivateKey) else None
    else:
        key = _base64_key(text)
    if key is None:
        raise WrongSetting(
            "AGENTMESH_SIGNING_KEY",
            "is no Ed25519 private key",
            "Give 32 random bytes in base64 (`openssl rand -base64 32`) or an unencrypted PEM.",
        )
    return key


def _verification_keys(text: str) -> tuple[str, ...]:
    for position, item in enumerate(_items(text), start=1):
        try:
            Key.parse(item)
        except BadKey as error:
            raise WrongSetting(
                "AGENTMESH_VERIFICATION_KEYS",
                f"has a key, number {position}, that is no verifier key",
                "Give those that signed before, such as mesh.example.org+1a2b3c4d+AbC…=, "
                "separated by commas.",
            ) from error
    return tuple(_items(text))


def _encryption_keys(text: str) -> tuple[bytes, ...]:
    keys: list[bytes] = []
    for position, item in enumerate(_items(text), start=1):
        key = _base64_key(item)
        if key is None or key in keys:
            raise WrongSetting(
                "AGENTMESH_ENCRYPTION_KEYS",
                f"has a key, number {position}, that " + ("repeats" if key else "is not usable"),
                "Give keys of 32 random bytes in base64 (`openssl rand -base64 32`), each once, "
                "separated by commas, the newest first.",
            )
        keys.append(key)
    return tuple(keys)


def _nats_urls(text: str) -> tuple[str, ...]:
    name = "AGENTMESH_NATS_URL"
    for item in _items(text):
        parts = split_url(name, item)
        if parts.scheme not in {"nats", "tls"} or not parts.hostname:
            raise WrongSetting(
                name, "is no NATS URL", "Give one such as nats://127.0.0.1:4222 or tls://host:4222."
            )
    return tuple(_items(text))


def _metrics_token(text: str | None) -> str | None:
    if text is not None and not _METRICS_TOKEN.fullmatch(text):
        raise WrongSetting(
            "AGENTMESH_METRICS_TOKEN",
            "is too short, or no token that a header can carry",
            "Give at least 16 letters, digits and -._~+/=, such as those of "
            "`openssl rand -hex 24`.",
        )
    return text


def _metrics_dir(text: str | None) -> Path | None:
    if text is None:
        return None
    path = Path(text)
    # A relative one would be another folder for a process that was started elsewhere.
    if not path.is_absolute() or not path.parent.is_dir() or (path.exists() and not path.is_dir()):
        raise WrongSetting(
            "AGENTMESH_METRICS_DIR",
            f"is {_quoted(text)}, which is no folder and cannot become one",
            "Give an absolute path to a folder, or of one to be made, for the processes of one "
            "installation alone.",
        )
    return path


def _rate_limits(text: str) -> Mapping[str, str]:
    limits: dict[str, str] = {}
    for item in _items(text):
        match = _RATE.fullmatch(item)
        if match is None or match[1] in limits:
            raise WrongSetting(
                "AGENTMESH_RATE_LIMITS",
                f"holds {_quoted(item)}" + (", a second limit for its scope" if match else ""),
                "Give scope=count/period such as read=600/minute, each scope once, separated by "
                f"commas; periods are {', '.join(SECONDS)}.",
            )
        if match[1] not in tuple(Scope):
            raise WrongSetting(
                "AGENTMESH_RATE_LIMITS",
                f"limits {_quoted(match[1])}, which is nothing that is counted",
                f"What is counted is {', '.join(Scope)}.",
            )
        limits[match[1]] = f"{match[2]}/{match[3]}"
    return limits
