"""Compiles CWL workflows into DAGs of jobs, plans them over sites and runs them."""

__version__ = "0.1.0"
