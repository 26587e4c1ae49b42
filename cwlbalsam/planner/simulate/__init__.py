"""Batch machines under recorded or made-up load, and work that goes through them in pilots."""
