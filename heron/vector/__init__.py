"""The vector env: a ``BatchEnv`` under a hierarchy, with its lanes, results, sight and schedule."""
