"""Appends: `python -m tests.stream.writer TENANT BEATS AGENT`."""

import sys

import django


def main(tenant: str, beats: str, agent_id: str) -> None:
    django.setup()
    from tests.stream.people import Fleet

    fleet = Fleet(tenant)
    fleet.enlist(agent_id)
    fleet.beat(int(beats))


if __name__ == "__main__":
    main(*sys.argv[1:])
