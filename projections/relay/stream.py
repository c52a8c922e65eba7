"""The broker's stream: one for all tenants, made when it is not there, never changed when it is."""

from typing import Any

from nats.aio.client import Client
from nats.js import api
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from projections.relay.messages import ALL_SUBJECTS, NAME, position_in, subjects_of
from projections.relay.standing import Found, Look

DUPLICATE_WINDOW_SECONDS = 120
REPLICAS_IN_A_CLUSTER = 3
TIMEOUT_SECONDS = 5


class Unusable(Exception):
    """The stream is not what the relay needs, or cannot be made. `str()` of it is one line."""


class Stream:
    """Questions to the broker. Each raises `nats.errors.Error` when there is no answer."""

    def __init__(self, connection: Client) -> None:
        self._js = connection.jetstream(timeout=TIMEOUT_SECONDS)
        self._in_a_cluster = bool(connection._server_info.get("cluster"))  # noqa: SLF001 -- no other way

    async def open(self) -> Look:
        """The stream as it stands; made when there is none. Raises Unusable."""
        try:
            info = await self._js.stream_info(NAME)
        except NotFoundError:
            info = await self._make()
        except ServiceUnavailableError as error:
            raise Unusable("the server has no JetStream: start it with -js") from error
        _check(info.config)
        return _look(info)

    async def look(self) -> Look:
        """Where the stream ends. Raises NotFoundError when it is gone."""
        return _look(await self._js.stream_info(NAME))

    async def last_of(self, tenant: str) -> Found | None:
        """The last message of this tenant; None when the stream holds none."""
        try:
            last = await self._js.get_last_msg(NAME, subjects_of(tenant))
        except NotFoundError:
            return None
        return Found(last.seq or 0, position_in(last.headers or {}))

    async def holds(self, seq: int) -> bool:
        """Whether there is a message, anybody's, in this place."""
        try:
            await self._js.get_msg(NAME, seq)
        except NotFoundError:
            return False
        return True

    async def _make(self) -> api.StreamInfo:
        config = api.StreamConfig(
            name=NAME,
            description="AgentMesh: every tenant's log, written by the relay alone",
            subjects=[ALL_SUBJECTS],
            storage=api.StorageType.FILE,
            retention=api.RetentionPolicy.LIMITS,
            num_replicas=REPLICAS_IN_A_CLUSTER if self._in_a_cluster else 1,
            duplicate_window=DUPLICATE_WINDOW_SECONDS,
        )
        try:
            return await self._js.add_stream(config)
        except APIError as error:
            raise Unusable(
                f"the stream {NAME} cannot be made ({error.description}); make it yourself, as "
                "docs/relay.md shows, or remove what is in its way"
            ) from error


def _look(info: api.StreamInfo) -> Look:
    # The text that the server gives, or the client's reading of it: both tell one from the next.
    return Look(str(info.created), info.state.last_seq)


def _check(config: api.StreamConfig) -> None:
    wrong: list[str] = []
    if config.subjects != [ALL_SUBJECTS]:
        wrong.append(f"its subjects are {', '.join(config.subjects or [])}, not {ALL_SUBJECTS}")
    if config.storage != api.StorageType.FILE:
        wrong.append("it is kept in memory, not in files")
    if config.retention != api.RetentionPolicy.LIMITS:
        wrong.append(f"its retention is {_value(config.retention)}, not limits")
    if config.no_ack:
        wrong.append("it acknowledges nothing")
    if config.mirror or config.sources:
        wrong.append("it copies other streams")
    if wrong:
        raise Unusable(
            f"the stream {NAME} is not usable: {'; '.join(wrong)}. Delete it or give it another "
            "name, and the relay makes its own"
        )


def _value(setting: Any) -> str:
    return str(getattr(setting, "value", setting))
