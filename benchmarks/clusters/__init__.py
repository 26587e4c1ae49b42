"""Runs through the pilots of a site: their rate, their delays, how full they keep their nodes."""
