"""Decides which job runs where and when. No I/O."""
