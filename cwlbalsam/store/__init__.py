"""Where runs, jobs and events are kept."""
