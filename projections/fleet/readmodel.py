"""The read model itself: which rows are kept in which table."""

from events.readmodels import ReadModel
from projections.fleet.project import project, touches
from projections.fleet.rows import FleetAgent
from projections.models import FleetRow

NAME = "fleet"
TYPES = "Agent*"

fleet = ReadModel(NAME, {FleetAgent: FleetRow}, project, touches=touches)
