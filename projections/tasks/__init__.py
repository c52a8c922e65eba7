"""The projection "tasks": who worked on a task, when, how long, how it ended, in which attempts."""
