"""Who decides: policies, one turn engine, slots and autoreset."""
