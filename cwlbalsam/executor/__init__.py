"""Runs jobs: coordinator, workers, launchers."""
