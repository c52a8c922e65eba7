"""The read model itself: which rows are kept in which table."""

from events.readmodels import ReadModel
from projections.models import TaskRow
from projections.tasks.project import project, touches
from projections.tasks.rows import Task

NAME = "tasks"
TYPES = "AgentTaskAssignedEvent,AgentTaskCompletedEvent,AgentTaskFailedEvent"

tasks = ReadModel(NAME, {Task: TaskRow}, project, touches=touches)
