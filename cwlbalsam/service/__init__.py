"""What combines the parts for the command line, daemons and the web."""
