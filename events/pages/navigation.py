"""Where one can go inside a tenant, by what a person does. A page that exists stands here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """name: what a page says it belongs to, and the icon's. key: pressed after g, it goes there."""

    name: str
    label: str
    url_name: str
    key: str


SECTIONS: tuple[Section, ...] = (
    Section("dashboard", "Dashboard", "admin:dashboard", "d"),
    Section("fleet", "Fleet", "admin:agents", "f"),
    Section("tasks", "Tasks", "admin:tasks", "k"),
    Section("timeline", "Timeline", "admin:events", "t"),
    Section("alerts", "Alerts", "admin:alerts", "a"),
    Section("integrations", "Integrations", "admin:integrations", "i"),
    Section("proof", "Proof", "admin:proof", "p"),
    Section("settings", "Settings", "admin:settings", "s"),
)
