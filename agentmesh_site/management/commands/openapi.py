from django.core.management.base import CommandError

from events.api.openapi import document
from events.management.kept_document import KeptDocumentCommand


class Command(KeptDocumentCommand):
    help = "Write the OpenAPI document of the API to docs/openapi.json (docs/openapi.md)."
    name = "openapi"

    def made(self) -> tuple[bytes, str]:
        try:
            made = document.served()
        except TypeError as fault:
            raise CommandError(str(fault)) from fault
        operations = sum(len(path) for path in document.document()["paths"].values())
        return made, f"{operations} operations"
