"""Decisions: policies, the turn order of coordinators and field agents, learner slots and autoreset."""
