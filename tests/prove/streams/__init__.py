"""What `GET /stream` promises, proven with clients by the hundred; see `__main__`.

    crowd    many clients, all live: each hears exactly the log, and how soon
    churn    clients that break off and come back, to whichever of two servers
    deaf     clients that never read: what they cost the server, and whoever appends
    ending   SIGTERM with many open streams

The clients are protocols on raw sockets (`clients`): they have to take less time than what they
measure.
"""
