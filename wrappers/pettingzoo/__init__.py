"""PettingZoo views of one copy: AEC and parallel."""
