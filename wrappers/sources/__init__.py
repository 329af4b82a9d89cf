"""Sources, which make a ``BatchEnv`` out of other environments in this process."""
