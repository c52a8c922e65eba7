"""The relay: every tenant's log into one NATS JetStream stream, in order, each event once.

    companion   runs beside the worker: connects, and comes back after whatever went wrong
    session     one connection: whose turn it is, where each log goes on, standing by for another
    turns       whose turn it is: nobody's new events wait for another's million old ones
    standing    where a log goes on, from what the stream holds and what was noted (pure)
    pipeline    messages on their way, each accepted only behind the very one it was sent after
    stream      the broker's stream: what it has to be, where it ends, what stands last in it
    messages    an event as a message, and which event a message of the stream is
    notes       what the database remembers of it
    connecting  one connection to one server; what may be said of it in a log

The stream says how far the relay has come; the database only remembers it for the time when the
stream has forgotten (`standing`). ADR 118 tells why nothing is lost, doubled or out of order
whoever is killed, paused or twice at work.
"""

from events.duties import Beside


def run(beside: Beside) -> None:
    """The companion. Imported only here: few have a broker, and every process would pay for its
    client's start."""
    from projections.relay import companion

    companion.run(beside)
