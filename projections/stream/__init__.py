"""`GET /api/v1/tenants/{tenant}/stream`: a log as Server-Sent Events, live and from any point.

    opening    a Django view: who asks, for what, from where; its answer is a problem or an Order
    door       the ASGI application in front of Django: takes the connection over for an Order
    follower   one connection: a position in the log, moved forward by what it writes
    tail       one tenant's newest events, read once for all followers in this process
    streams    all of this process: its tails, the pulse beneath them, who may still listen, the end
    reading    the questions to the database, and the few threads in which they are asked

Correctness rests on the log's own promise alone, that seq is dense and in commit order: a follower
writes event n + 1 after event n, whether it takes it from the tail or from the database.
"""
