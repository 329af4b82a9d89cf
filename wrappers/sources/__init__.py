"""Sources: classes that make a ``BatchEnv`` of other environments, in this process."""
