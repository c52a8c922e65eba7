"""How an append can be refused. Nothing was written when one of these is raised."""

from events.log.rows import Put


class AppendRefused(Exception):
    """The append did not happen; the log is as it was."""


class TenantUnknown(AppendRefused):
    """There is no log for this tenant."""

    def __init__(self, tenant: str) -> None:
        super().__init__(f"There is no tenant {tenant!r}. Create it with create_tenant.")
        self.tenant = tenant


class VersionConflict(AppendRefused):
    """Another append to the same stream was first. Load again and decide again."""

    def __init__(self, tenant: str, stream_id: str, expected_version: int) -> None:
        super().__init__(
            f"{tenant}/{stream_id} is no longer at version {expected_version}: another command was "
            f"recorded first. Load it again and decide again."
        )
        self.stream_id = stream_id
        self.expected_version = expected_version


class RowRefused(AppendRefused):
    """A row that was to be written with the events could not be (see `rows.Put`)."""

    def __init__(self, row: Put) -> None:
        super().__init__(f"A row that belongs to the append was refused: {row!r}")
        self.row = row


class NotTheOutermostTransaction(RuntimeError):
    """append was called inside a transaction; it has to be the outermost one."""

    def __init__(self) -> None:
        super().__init__(
            "append must be the outermost transaction, so that what it acknowledges is durable and "
            "the log's order is the order of commits. Call it outside atomic(), with autocommit on."
        )
