"""The worker: reads the logs for every subscription, runs the sweeps, and what else runs beside.

    runner       a process's worker: its threads, and their end
    reader       one thread for each subscription, fair to all tenants
    connections  what a worker's connections need
    bells        who waits for logs to grow
    wakeups      how a process hears that a log has grown, and tells others
    sweeping     the sweeps, each in one worker at a time

Any number of workers may run at once, on as many machines: a lease decides who reads what
(`events.durable.lease`), and correctness rests on its epoch alone.
"""
