"""A ``BatchEnv`` under a hierarchy: the vector env, its lanes and its schedule."""
