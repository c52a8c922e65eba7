"""Who is signed in, asked for many browser sessions at once and without a request."""

from collections.abc import Iterable

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

FORGOTTEN_AT_ONCE = 1_000


def users_of_sessions(keys: Iterable[str]) -> dict[str, User]:
    """key → the user that `django.contrib.auth.get_user` would find, where there is one; in two
    questions. Sessions are in the database (settings.SESSION_ENGINE)."""
    standing = Session.objects.filter(session_key__in=set(keys), expire_date__gt=timezone.now())
    signed_in = {
        session.session_key: data
        for session in standing
        if (data := session.get_decoded()).get(BACKEND_SESSION_KEY)
        in settings.AUTHENTICATION_BACKENDS
        and SESSION_KEY in data
    }
    users = User.objects.in_bulk({int(data[SESSION_KEY]) for data in signed_in.values()})
    return {
        key: user
        for key, data in signed_in.items()
        if (user := users.get(int(data[SESSION_KEY]))) is not None
        and user.is_active
        and _is_of_this_password(user, data.get(HASH_SESSION_KEY, ""))
    }


def forget_expired(most: int = 10_000) -> int:
    """Delete sessions that let nobody in any more; how many, at most so many."""
    expired = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
    keys = list(expired.values_list("pk", flat=True)[:most])
    for start in range(0, len(keys), FORGOTTEN_AT_ONCE):
        Session.objects.filter(pk__in=keys[start : start + FORGOTTEN_AT_ONCE]).delete()
    return len(keys)


def _is_of_this_password(user: User, signature: str) -> bool:
    """A new password ends the sessions of the old one; a new secret key need not."""
    now = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(signature, each) for each in now)
