"""A week that the demo's fleet has behind it, so that every page has something to show at once.

tape     what happened, in order of time, as a file that `import_log` takes
shifts   agents at work: tasks, heartbeats, outages
week     the story: who did what, and the evening on which much failed

No live log is back-dated: the week is a log of its own, made with the domain's own rules at past
moments, chained, signed and brought in by the import. What is made up is said to be the demo's.
"""
