"""Policies, turn order, learner slots and autoreset."""
