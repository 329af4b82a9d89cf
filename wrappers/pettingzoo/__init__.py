"""One copy of a hierarchy as PettingZoo expects it: AEC and parallel."""
