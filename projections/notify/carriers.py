"""How a digest leaves: as a mail by the configured server, or as a signed POST.

Both raise NotTaken with one line that says why, and touch no database: several go out at once.
"""

import ipaddress
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core import mail
from django.utils import timezone

from projections.notify.models import Digest
from projections.outbound import signing
from projections.outbound.connection import Undelivered
from projections.outbound.post import Outbound

MAIL_SECONDS = 5  # for each answer of the mail server


class NotTaken(Exception):
    """The target has not taken the digest; the text says why."""


def send_mail(digest: Digest) -> None:
    """Raises NotTaken."""
    message = mail.EmailMessage(
        subject=digest.title,
        body=digest.body,
        from_email=sender(),
        to=[digest.address],
        headers={"Message-ID": f"<{digest.id}@{_host()}>", "Auto-Submitted": "auto-generated"},
        connection=mail.get_connection(timeout=MAIL_SECONDS),
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused:
        raise NotTaken("The mail server refuses this address.") from None
    except smtplib.SMTPResponseException as error:
        raise NotTaken(f"The mail server answered {error.smtp_code}.") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotTaken(f"The mail server was not reached: {type(error).__name__}.") from None


def sender() -> str:
    """The mail account where it is an address: many servers take no other."""
    account: str = settings.EMAIL_HOST_USER
    return account if "@" in account else f"agentmesh@{_host()}"


def _host() -> str:
    host = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return "localhost"


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Posts digests. outbound: only tests give another, which may reach their own server."""

    outbound: Outbound

    def send(self, digest: Digest, secrets: Sequence[str]) -> None:
        """Raises NotTaken."""
        body = digest.body.encode()
        headers = signing.headers(
            secrets, message_id=str(digest.id), sent_at=timezone.now(), body=body
        )
        try:
            answer = self.outbound.post(digest.address, body, headers)
        except Undelivered as error:
            raise NotTaken(str(error)) from None
        if not answer.is_good:
            told = " Redirects are not followed." if 300 <= answer.status < 400 else ""  # noqa: PLR2004
            raise NotTaken(f"It answered {answer.status}.{told}")
