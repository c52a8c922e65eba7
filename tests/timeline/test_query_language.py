"""What people type to find events: what it means, and what they are told when it means nothing."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.query_language import NAMES, BadQuery, Hours, Name, Query, Seqs, When, parse

TYPES = ("AgentCreatedEvent", "AgentTaskAssignedEvent", "AgentTaskFailedEvent", "MemberAdded")
NOW = datetime(2026, 11, 24, 18, 30, tzinfo=UTC)  # a Tuesday
BERLIN = ZoneInfo("Europe/Berlin")

letters = st.characters(codec="utf-8", exclude_characters="\0")
texts = st.text(letters, min_size=1, max_size=8)
names = st.lists(st.builds(Name, texts, st.booleans()) | st.just(Name("", begins=True)), max_size=3)
unique = names.map(lambda found: tuple(dict.fromkeys(found)))
types = st.lists(
    st.sampled_from([Name("MemberAdded"), Name("AgentTask", begins=True), Name("", begins=True)]),
    max_size=3,
    unique=True,
).map(tuple)
moments = st.sampled_from(["24h", "90s", "today", "yesterday", "2026-11", "2026-11-01"]).map(When)
places = st.integers(1, 2**63 - 1)
seqs = st.one_of(
    places.map(lambda seq: Seqs(seq, seq)),
    places.map(lambda seq: Seqs(seq, None)),
    places.map(lambda seq: Seqs(None, seq)),
    st.tuples(places, places).map(lambda both: Seqs(min(both), max(both))),
)
several = st.lists(texts, max_size=2, unique=True).map(tuple)
queries = st.builds(
    Query,
    **{name: unique for name in NAMES if name != "type"},
    **{f"not_{name}": unique for name in NAMES if name != "type"},
    type=types,
    not_type=types,
    since=st.none() | moments,
    until=st.none() | moments,
    seq=st.none() | seqs,
    hours=st.none() | st.sampled_from(Hours),
    text=several,
    not_text=several,
)


@given(queries)
def test_the_text_of_a_query_is_the_same_query(query: Query) -> None:
    assert parse(str(query), TYPES) == query


@given(st.text(max_size=60))
def test_any_text_is_a_query_or_says_where_it_is_none(text: str) -> None:
    try:
        found, faults = parse(text, TYPES), None
    except BadQuery as error:
        found, faults = None, error.faults

    if found is None:
        assert faults
        assert all(0 <= fault.start <= fault.end <= len(text) for fault in faults)
        assert all(fault.message for fault in faults)
    else:
        assert parse(str(found), TYPES) == found


def test_every_kind_of_term_is_understood() -> None:
    found = parse(
        "type:AgentTask*,MemberAdded -type:AgentTaskFailedEvent agent:a1 actor:user:* -agent:a2,b*"
        ' correlation:"c, 1" -causation:* since:24h until:2026-11-01T09:30 seq:5..9 hours:off'
        ' lost "two words" -found',
        TYPES,
    )

    assert found == Query(
        type=(Name("AgentTask", begins=True), Name("MemberAdded")),
        not_type=(Name("AgentTaskFailedEvent"),),
        agent=(Name("a1"),),
        not_agent=(Name("a2"), Name("b", begins=True)),
        actor=(Name("user:", begins=True),),
        correlation=(Name("c, 1"),),
        not_causation=(Name("", begins=True),),
        since=When("24h"),
        until=When("2026-11-01T09:30"),
        seq=Seqs(5, 9),
        hours=Hours.OFF,
        text=("lost", "two words"),
        not_text=("found",),
    )


@pytest.mark.parametrize(
    ("text", "start", "end", "told"),
    [
        ("typ:x", 0, 4, "`typ:` is no field. Did you mean `type:`?"),
        ("a -agnt:x", 3, 8, "Did you mean `agent:`?"),
        ("user:bob", 0, 5, "Did you mean `actor:user:`?"),
        ("http://x", 0, 5, "The fields are type, agent, actor,"),
        ("type:AgentTasc*", 5, 15, "fits no type of event. Did you mean `AgentTask*`?"),
        ("type:agenttask*", 5, 15, "Did you mean `AgentTask*`?"),
        ("type:AgentTask", 5, 14, "Did you mean `AgentTask*`?"),
        ("type:MemberAded", 5, 15, "Did you mean `MemberAdded`?"),
        ("type:A*d", 6, 7, '`*` may stand only at the end of a value; "A*d" is that very text.'),
        ("since:tomorrow", 6, 14, "`since:` must be a moment, such as 24h, 7d, today"),
        ("since:2026-02-30", 6, 16, "that the calendar and the clock have"),
        ("until:9999-12-31", 6, 16, "must lie in the years 1970 to 9998"),
        ("-since:7d", 0, 1, "`since:` cannot be turned round. Write `until:`."),
        ("agent:a agent:b", 8, 15, "`agent:` stands twice. Put alternatives behind commas"),
        ("since:7d since:8d", 9, 17, "`since:` stands twice. Keep one."),
        ("since:7d,8d", 0, 11, "takes one value, and no comma"),
        ('say "hello', 4, 10, "is never closed"),
        ('a"b', 1, 2, "may not stand within a word"),
        ('""', 0, 2, "no text between the quotation marks"),
        ("- x", 0, 1, "`-` leaves out what follows it"),
        ("agent:", 6, 6, "A value is missing in `agent:`"),
        ("agent:a,,b", 8, 8, "A value is missing"),
        ('actor:""', 6, 8, "A value is missing"),
        ('agent:"x"y', 9, 10, "a blank must follow"),
        ("lost*", 0, 5, "it needs no `*`"),
        ("hours:night", 6, 11, "must be `off`"),
        ("seq:9..3", 4, 8, "Swap the two: `3..9`"),
        ("seq:0", 4, 5, "must be a number or a range"),
        ("seq:..", 4, 6, "must be a number or a range"),
        ("seq:99999999999999999999", 4, 24, "must be a number or a range"),
        ("a\0", 1, 2, "NUL"),
        ("x" * 1_001, 1_000, 1_001, "1,000 characters at most"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_a_wrong_query_is_told_where_and_what_to_do(
    text: str, start: int, end: int, told: str
) -> None:
    with pytest.raises(BadQuery) as refused:
        parse(text, TYPES)

    (fault,) = refused.value.faults
    assert (fault.start, fault.end) == (start, end)
    assert told in fault.message


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(BadQuery) as refused:
        parse("typ:x since:never agent:a hours:x", TYPES)

    assert [fault.start for fault in refused.value.faults] == [0, 12, 32]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", "2026-11-23T18:30:00+00:00"),
        ("2w", "2026-11-10T18:30:00+00:00"),
        ("today", "2026-11-23T23:00:00+00:00"),
        ("yesterday", "2026-11-22T23:00:00+00:00"),
        ("2026-11", "2026-10-31T23:00:00+00:00"),
        ("2026-07-01", "2026-06-30T22:00:00+00:00"),
        ("2026-11-01T09:30", "2026-11-01T08:30:00+00:00"),
        ("2026-11-01T09:30:01.5", "2026-11-01T08:30:01.500000+00:00"),
        ("2026-11-01T09:30Z", "2026-11-01T09:30:00+00:00"),
        ("2026-11-01T09:30:00-02:00", "2026-11-01T11:30:00+00:00"),
    ],
)
def test_a_moment_without_an_offset_is_read_on_the_clock_of_who_asks(
    text: str, moment: str
) -> None:
    assert When.of(text).moment(NOW, BERLIN).isoformat() == moment


def test_today_begins_when_the_day_does_where_it_is_asked() -> None:
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)  # past midnight in Berlin

    assert When.of("today").moment(late, BERLIN).isoformat() == "2026-11-24T23:00:00+00:00"
    assert When.of("today").moment(late, UTC).isoformat() == "2026-11-24T00:00:00+00:00"


def test_a_query_is_narrowed_and_widened_by_a_value() -> None:
    query = parse("agent:a,b -agent:c lost", TYPES)

    assert str(query.narrowed_to("agent", "a")) == "agent:a -agent:c lost"
    assert str(query.excluding("agent", "a")) == "agent:b -agent:c,a lost"
    assert str(query.excluding("actor", "user:x y")) == 'agent:a,b -agent:c -actor:"user:x y" lost'
