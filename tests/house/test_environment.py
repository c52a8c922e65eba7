"""A wrong value stops the start with one line that names it; a right one arrives."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agentmesh_site.environment import Environment, WrongSetting, read

SECRET = "correct-horse-battery-staple-" * 3
KEY = base64.b64encode(bytes(range(32))).decode()
VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
OTHER_KEY = base64.urlsafe_b64encode(bytes(range(200, 232))).decode()


def public(**settings: str) -> Environment:
    """An installation that others can reach."""
    return read({"AGENTMESH_HOST": "0.0.0.0", "AGENTMESH_SECRET_KEY": SECRET, **settings})  # noqa: S104


def test_with_nothing_set_everything_stays_on_this_machine() -> None:
    environment = read({"HOME": "/nowhere", "LANG": "C.UTF-8"})

    assert environment == Environment(
        host="127.0.0.1",
        port=8000,
        public_url="http://127.0.0.1:8000",
        allowed_hosts=("localhost", "127.0.0.1", "[::1]"),
        trusted_proxies=(),
        debug=False,
        secret_key=None,
        signing_key=None,
        verification_keys=(),
        is_local=True,
        encryption_keys=(),
        nats_urls=(),
        rate_limits={},
        metrics_token=None,
        metrics_dir=None,
        expect_worker=None,
        log_format="text",
        log_level="info",
        access_log=False,
    )
    assert not environment.https


def test_what_others_can_reach_logs_for_machines_unless_told_otherwise() -> None:
    reachable = public()
    told = public(AGENTMESH_LOG_FORMAT="TEXT", AGENTMESH_ACCESS_LOG="on")

    assert (reachable.log_format, reachable.access_log) == ("json", True)
    assert (told.log_format, told.access_log) == ("text", True)


def test_watching_is_set_up_by_the_environment(tmp_path: Path) -> None:
    environment = public(
        AGENTMESH_METRICS_TOKEN="0123456789abcdef",
        AGENTMESH_METRICS_DIR=str(tmp_path / "new"),
        AGENTMESH_EXPECT_WORKER="0",
        AGENTMESH_LOG_LEVEL="warning",
    )

    assert environment.metrics_token == "0123456789abcdef"
    assert environment.metrics_dir == tmp_path / "new"
    assert environment.expect_worker is False
    assert environment.log_level == "warning"


def test_a_blank_value_counts_as_not_set() -> None:
    assert read({"PORT": " ", "AGENTMESH_HOST": "", "AGENTMESH_SIGNING_KEY": ""}) == read({})


def test_the_settings_of_tests_are_no_typo() -> None:
    assert read({"AGENTMESH_TEST_DATABASE_URL": "anything"}) == read({})


def test_a_deployment_behind_a_proxy() -> None:
    environment = public(
        AGENTMESH_PUBLIC_URL="https://Mesh.Example.org/",
        AGENTMESH_ALLOWED_HOSTS="internal.example.org, .example.net",
        AGENTMESH_TRUSTED_PROXIES="10.0.0.7, fd00::/8",
    )

    assert environment.public_url == "https://mesh.example.org"
    assert environment.https
    assert environment.allowed_hosts == (
        "internal.example.org",
        ".example.net",
        "mesh.example.org",
    )
    assert environment.trusted_proxies == ("10.0.0.7", "fd00::/8")


def test_an_ipv6_address_is_bracketed_where_urls_need_it() -> None:
    environment = read({"AGENTMESH_HOST": "[::1]", "PORT": "9000"})

    assert environment.host == "::1"
    assert environment.public_url == "http://[::1]:9000"


def test_keys_are_taken_in_base64_of_either_alphabet_and_as_pem() -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    assert read({"AGENTMESH_SIGNING_KEY": KEY}).signing_key == bytes(range(32))
    assert read({"AGENTMESH_SIGNING_KEY": pem}).signing_key == key.private_bytes_raw()
    one_line = pem.replace("\n", "\\n")
    assert read({"AGENTMESH_SIGNING_KEY": one_line}).signing_key == key.private_bytes_raw()
    earlier = read({"AGENTMESH_VERIFICATION_KEYS": f"{VERIFIER},"})
    assert earlier.verification_keys == (VERIFIER,)
    two = read({"AGENTMESH_ENCRYPTION_KEYS": f"{KEY},{OTHER_KEY}"}).encryption_keys
    assert two == (bytes(range(32)), bytes(range(200, 232)))


def test_rate_limits_and_nats_servers_are_lists() -> None:
    environment = read(
        {
            "AGENTMESH_RATE_LIMITS": "read=600/minute, write=20/second",
            "AGENTMESH_NATS_URL": "nats://127.0.0.1:4222,tls://nats.example.org",
        }
    )

    assert environment.rate_limits == {"read": "600/minute", "write": "20/second"}
    assert environment.nats_urls == ("nats://127.0.0.1:4222", "tls://nats.example.org")


def test_a_limit_of_something_unknown_is_told_what_can_be_limited() -> None:
    with pytest.raises(WrongSetting) as refusal:
        read({"AGENTMESH_RATE_LIMITS": "read=5/second,tasks=1/second"})

    line = str(refusal.value)
    assert "'tasks'" in line
    assert "read, write, bulk, stream, export, login" in line


WRONG = [
    ("AGENTMESH_METRICS_TOKEN", "short"),
    ("AGENTMESH_METRICS_TOKEN", "no header can carry\tthis one"),
    ("AGENTMESH_METRICS_DIR", "var/metrics"),
    ("AGENTMESH_METRICS_DIR", "/no/such/folder/metrics"),
    ("AGENTMESH_EXPECT_WORKER", "maybe"),
    ("AGENTMESH_LOG_FORMAT", "xml"),
    ("AGENTMESH_LOG_LEVEL", "loud"),
    ("AGENTMESH_ACCESS_LOG", "maybe"),
    ("PORT", "abc"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "-1"),
    ("PORT", "8000\nX"),
    ("PORT", "\u0661\u0662"),  # digits, to Python
    ("PORT", "9" * 5000),
    ("AGENTMESH_HOST", "http://127.0.0.1"),
    ("AGENTMESH_HOST", "127.0.0.1:8000"),
    ("AGENTMESH_HOST", "300.1.1.1"),
    ("AGENTMESH_ALLOWED_HOSTS", "https://mesh.example.org"),
    ("AGENTMESH_ALLOWED_HOSTS", "mesh.example.org:443"),
    ("AGENTMESH_PUBLIC_URL", "mesh.example.org"),
    ("AGENTMESH_PUBLIC_URL", "ftp://mesh.example.org"),
    ("AGENTMESH_PUBLIC_URL", "https://mesh.example.org/below"),
    ("AGENTMESH_PUBLIC_URL", "https://mesh.example.org:99999"),
    ("AGENTMESH_PUBLIC_URL", "https://[::1"),
    ("AGENTMESH_TRUSTED_PROXIES", "proxy.example.org"),
    ("AGENTMESH_TRUSTED_PROXIES", "10.0.0.1/8"),
    ("AGENTMESH_TRUSTED_PROXIES", "*"),
    ("AGENTMESH_DEBUG", "maybe"),
    ("AGENTMESH_DEBUG", "2"),
    ("AGENTMESH_SECRET_KEY", "short"),
    ("AGENTMESH_SECRET_KEY", "a" * 80),
    ("AGENTMESH_SIGNING_KEY", "c2hvcnQ="),
    ("AGENTMESH_SIGNING_KEY", "not base64 at all"),
    ("AGENTMESH_SIGNING_KEY", "-----BEGIN PRIVATE KEY-----\\nnonsense"),
    ("AGENTMESH_VERIFICATION_KEYS", "mesh.example.org"),
    ("AGENTMESH_VERIFICATION_KEYS", f"{VERIFIER},mesh.example.org+00000000+{KEY}"),
    ("AGENTMESH_ENCRYPTION_KEYS", f"{KEY},c2hvcnQ="),
    ("AGENTMESH_ENCRYPTION_KEYS", f"{KEY},{KEY}"),
    ("AGENTMESH_NATS_URL", "http://127.0.0.1:4222"),
    ("AGENTMESH_NATS_URL", "nats://"),
    ("AGENTMESH_NATS_URL", "nats://host:port"),
    ("AGENTMESH_RATE_LIMITS", "100"),
    ("AGENTMESH_RATE_LIMITS", "read=0/minute"),
    ("AGENTMESH_RATE_LIMITS", "read=10/fortnight"),
    ("AGENTMESH_RATE_LIMITS", "read=1/second,read=2/second"),
    ("AGENTMESH_RATE_LIMITS", "reads=1/second"),
    ("AGENTMESH_ALOWED_HOSTS", "localhost"),
    ("AGENTMESH_COLOUR", "blue"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_one_line_that_begins_with_its_name(name: str, value: str) -> None:
    with pytest.raises(WrongSetting) as refusal:
        read({name: value})

    line = str(refusal.value)
    assert line.startswith(f"{name} ")
    assert line.isprintable()  # so no line break either
    assert len(line) < 300


def test_a_misspelt_setting_is_told_its_name() -> None:
    with pytest.raises(WrongSetting, match=r"Did you mean AGENTMESH_ALLOWED_HOSTS\?"):
        read({"AGENTMESH_ALOWED_HOSTS": "localhost"})


@pytest.mark.parametrize(
    "settings",
    [
        {"AGENTMESH_HOST": "0.0.0.0"},  # noqa: S104
        {"AGENTMESH_HOST": "mesh.example.org"},
        {"AGENTMESH_ALLOWED_HOSTS": "localhost,mesh.example.org"},
        {"AGENTMESH_ALLOWED_HOSTS": "*"},
        {"AGENTMESH_PUBLIC_URL": "https://mesh.example.org"},
    ],
)
def test_whoever_can_be_reached_from_elsewhere_needs_a_secret_key_and_no_debug(
    settings: dict[str, str],
) -> None:
    with pytest.raises(WrongSetting, match=r"AGENTMESH_SECRET_KEY is not set while"):
        read(settings)
    with pytest.raises(WrongSetting, match=r"AGENTMESH_DEBUG is on while"):
        read({**settings, "AGENTMESH_SECRET_KEY": SECRET, "AGENTMESH_DEBUG": "1"})

    assert read({**settings, "AGENTMESH_SECRET_KEY": SECRET}).secret_key == SECRET


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGENTMESH_SECRET_KEY", "hunter2"),
        ("AGENTMESH_SIGNING_KEY", "hunter2"),
        ("AGENTMESH_METRICS_TOKEN", "hunter2"),
        ("AGENTMESH_ENCRYPTION_KEYS", "hunter2"),
        ("AGENTMESH_NATS_URL", "ftp://bob:hunter2@host"),
        ("AGENTMESH_PUBLIC_URL", "https://bob:hunter2@host"),
    ],
)
def test_a_message_never_repeats_a_secret(name: str, value: str) -> None:
    with pytest.raises(WrongSetting) as refusal:
        read({name: value})

    assert "hunter2" not in str(refusal.value)
