"""What the planner must show, on recorded data that is no part of the repository."""
