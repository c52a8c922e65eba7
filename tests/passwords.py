from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickPasswordHasher(PBKDF2PasswordHasher):
    """Django's own algorithm in one round: a server with the normal settings accepts its hashes."""

    iterations = 1
