"""How a person types what has parts: tags with commas."""


def tags_of(text: str) -> list[str]:
    return [tag for part in text.split(",") if (tag := part.strip())]
