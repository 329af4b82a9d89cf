"""Contract checks for your own broker, environment or view."""

from heron.testing.batch_env import BATCH_ENV_CHECKS, check_batch_env
from heron.testing.broker import BROKER_CHECKS, check_broker
from heron.testing.env import ENV_CHECKS, Limits, check_aec_env, check_gymnasium_env, check_parallel_env, inspect_env
from heron.testing.findings import Check, Finding, Findings, Where
from heron.testing.view import VIEW_CHECKS, ViewPlan, check_view

__all__ = [
    "BATCH_ENV_CHECKS",
    "BROKER_CHECKS",
    "ENV_CHECKS",
    "VIEW_CHECKS",
    "Check",
    "Finding",
    "Findings",
    "Limits",
    "ViewPlan",
    "Where",
    "check_aec_env",
    "check_batch_env",
    "check_broker",
    "check_gymnasium_env",
    "check_parallel_env",
    "check_view",
    "inspect_env",
]
