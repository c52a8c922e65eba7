"""The routes that the agents room serves alone, for the one page of all URLs."""

from django.urls import URLPattern, path

from agents.api import commands
from agents.api.agents import AgentEvents, Agents, OneAgent, OneTask
from agents.api.bulk import Commands
from agents.api.diff import AgentDiff
from agents.api.erasure import EraseAgent, EraseTask

_AGENT = "agents/<agent_id>"

tenant_routes: list[URLPattern] = [
    path("agents", Agents.as_view()),
    path(_AGENT, OneAgent.as_view()),
    path(f"{_AGENT}/diff", AgentDiff.as_view()),
    path(f"{_AGENT}/events", AgentEvents.as_view()),
    path(f"{_AGENT}/activate", commands.Activate.as_view()),
    path(f"{_AGENT}/pause", commands.Pause.as_view()),
    path(f"{_AGENT}/resume", commands.Resume.as_view()),
    path(f"{_AGENT}/terminate", commands.Terminate.as_view()),
    path(f"{_AGENT}/heartbeat", commands.Heartbeat.as_view()),
    path(f"{_AGENT}/health-failures", commands.HealthFailures.as_view()),
    path(f"{_AGENT}/capabilities", commands.Capabilities.as_view()),
    path(f"{_AGENT}/capabilities/<name>", commands.Capability.as_view()),
    path(f"{_AGENT}/tasks/<task_id>/complete", commands.CompleteTask.as_view()),
    path(f"{_AGENT}/tasks/<task_id>/fail", commands.FailTask.as_view()),
    path(f"{_AGENT}/erase", EraseAgent.as_view()),
    path("commands", Commands.as_view()),
    path("tasks/<task_id>", OneTask.as_view()),
    path("tasks/<task_id>/erase", EraseTask.as_view()),
]
