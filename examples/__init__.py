"""What third parties write: systems that react to AgentMesh, in Django apps of their own.

    DJANGO_SETTINGS_MODULE=examples.settings python manage.py migrate
    DJANGO_SETTINGS_MODULE=examples.settings python manage.py serve

Nothing in AgentMesh knows of them. See docs/extending.md. Two are no apps and need nothing of
AgentMesh: `nats_consumer` reads what the relay publishes (docs/relay.md), and `worker_agent` is an
agent, of which the demo's fleet is made too (docs/agents.md).
"""
