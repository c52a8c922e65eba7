from events.management.kept_document import KeptDocumentCommand
from projections.asyncapi import document


class Command(KeptDocumentCommand):
    help = "Write the AsyncAPI document of what is sent to docs/asyncapi.json (docs/asyncapi.md)."
    name = "asyncapi"

    def made(self) -> tuple[bytes, str]:
        return document.served(), f"{len(document.document()['components']['messages'])} messages"
