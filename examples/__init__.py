"""What third parties write: systems that react to AgentMesh, in Django apps of their own.

    DJANGO_SETTINGS_MODULE=examples.settings python manage.py migrate
    DJANGO_SETTINGS_MODULE=examples.settings python manage.py serve

Nothing in AgentMesh knows of them. See docs/extending.md. `nats_consumer` is no app: it reads what
the relay publishes, and needs nothing of AgentMesh. See docs/relay.md.
"""
