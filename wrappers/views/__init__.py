"""The vector env as other libraries expect it, and what all views share."""
