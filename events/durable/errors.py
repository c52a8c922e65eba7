"""What was raised: in words that can be kept, and whether the database is to blame for it."""

from traceback import format_tb

from django.db import DatabaseError, InterfaceError, connection

DATABASE_ERRORS = (DatabaseError, InterfaceError)
KEPT = 1_000  # characters


def words(error: BaseException) -> str:
    """What an error says, in a form that any database takes."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 -- a stranger's class
        said = "(it cannot say what)"
    text = f"{type(error).__name__}: {said}"[:KEPT]
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def frames(error: BaseException) -> str:
    """Where an error was raised. Without what it says, which no log has to be able to write."""
    return "".join(format_tb(error.__traceback__))


def first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def is_away(error: BaseException) -> bool:
    """Whether this was raised because the database does not answer: then nothing that was handled
    is to blame. Asks it, on a new connection where the old one is broken."""
    if not isinstance(error, DATABASE_ERRORS):
        return False
    try:
        if connection.connection is not None and not connection.is_usable():
            connection.close()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DATABASE_ERRORS:
        connection.close()
        return True
    return False
