"""Which addresses are public: anybody's to reach, and none that only this machine's side can."""

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Of what `is_global` lets through, depending on Python's release, these are not the internet.
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # a cloud's metadata, at a public address
        "192.0.0.0/24",
        "192.88.99.0/24",  # relays of 6to4, long withdrawn
        "2001::/23",  # Teredo and other protocols' own
        "3fff::/20",
    )
)
_UNICAST = ipaddress.IPv6Network("2000::/3")
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether this address, as numbers, is a public one. An IPv6 address that carries an IPv4 one
    (mapped, 6to4, NAT64) is what it carries."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    carried = _carried(parsed)
    if carried is not None:
        return is_public(str(carried))
    if isinstance(parsed, ipaddress.IPv6Address) and parsed not in _UNICAST:
        return False
    never = any(parsed in network for network in _NEVER if network.version == parsed.version)
    return parsed.is_global and not parsed.is_multicast and not never


def _carried(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def addresses_of(host: str, port: int) -> list[str]:
    """Every address of a name, as numbers, in the order to try them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
