"""What we sign, a library that we did not write verifies."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from projections.outbound import signing

BODY = '{"type": "alerts.digest", "über": "✓"}'


def signed(*keys: str, sent_at: datetime | None = None) -> dict[str, str]:
    return signing.headers(
        keys, message_id="m-1", sent_at=sent_at or datetime.now(UTC), body=BODY.encode()
    )


def test_the_standards_own_library_accepts_the_signature() -> None:
    secret = signing.new_secret()

    assert Webhook(secret).verify(BODY, signed(secret)) == {"type": "alerts.digest", "über": "✓"}


def test_another_body_another_secret_and_an_old_post_are_not_accepted() -> None:
    secret = signing.new_secret()
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + " ", signed(secret))
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.new_secret()).verify(BODY, signed(secret))
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(BODY, signed(secret, sent_at=an_hour_ago))


def test_while_a_secret_is_replaced_both_verify() -> None:
    old, new = signing.new_secret(), signing.new_secret()

    for secret in (old, new):
        Webhook(secret).verify(BODY, signed(new, old))
