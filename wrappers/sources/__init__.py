"""Where copies of an environment come from: everything that becomes a ``BatchEnv`` in this process."""
