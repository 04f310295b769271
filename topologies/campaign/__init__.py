"""Many labs in one command: which may run side by side, the runs with their negative controls, and the table of
results."""
