"""What a person types to find events: `type:AgentTask* -agent:a1 since:24h "not reachable"`.

    query := { term }, with blanks between
    term  := field:value      what the field must be
           | -field:value     what it must not be
           | text | -text     what must, or must not, stand somewhere in the event, in any case

    value := alternative { , alternative }         a comma means or
    alternative := word | "quoted words", and after it a * : whatever begins so

`parse` gives a `Query` or raises `BadQuery`, which names each place and what to write instead.
`str(query)` is a text that gives the same query. Pure: no Django, no clock, no time zone; who asks
brings those along (`events.timeline_query`). docs/timeline.md explains it to people.
"""

from events.query_language.faults import BadQuery, Fault
from events.query_language.parsing import parse
from events.query_language.query import NAMES, Hours, Name, Query, Seqs
from events.query_language.when import When

__all__ = ["NAMES", "BadQuery", "Fault", "Hours", "Name", "Query", "Seqs", "When", "parse"]
