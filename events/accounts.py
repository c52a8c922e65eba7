"""Accounts of people, made together with their first membership.

An account belongs to the installation and opens no tenant; a membership does (`events.tenants`).
"""

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from events import tenants
from events.log.proposal import Context
from events.tenants import Refused


def let_in(tenant: str, username: str, role: str, *, password: str | None, by: Context) -> bool:
    """Make the person a member, and the account too when there is none; True when it was made.

    All or nothing. Without a password a new account has none that could be typed. Raises Refused,
    also for a password that is given for somebody who has an account.
    """
    _check_username(username)
    if User.objects.filter(username=username).exists():
        if password is not None:
            raise Refused(
                f"{username} has an account already, and its password stays. Leave the password "
                f"out, or change it with manage.py changepassword {username}.",
                "already_exists",
                "username",
            )
        tenants.add_member(tenant, username, role, by=by)
        return False
    account = new_account(username, password)
    try:
        tenants.add_member(tenant, username, role, by=by, account=account)
    except IntegrityError:
        raise Refused(
            f"An account {username} was made meanwhile. Try again.", "already_exists", "username"
        ) from None
    return True


def new_account(username: str, password: str | None) -> User:
    """An account, not yet stored. Raises Refused for a password that won't do."""
    account = User(username=username)
    if password is None:
        account.set_unusable_password()
    else:
        try:
            validate_password(password, account)
        except ValidationError as error:
            raise Refused(" ".join(error.messages), field="password") from None
        account.set_password(password)
    return account


def _check_username(username: str) -> None:
    try:
        User(username=username).clean_fields(exclude={"password"})
    except ValidationError as error:
        words = " ".join(error.messages)
        raise Refused(f"{username!r} is no user name. {words}", field="username") from None
