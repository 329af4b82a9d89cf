"""Contracts as checks: run them on your own broker, environment or view."""

from heron.testing.broker import BROKER_CHECKS, check_broker

__all__ = ["BROKER_CHECKS", "check_broker"]
