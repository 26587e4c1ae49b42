"""From CWL documents to Programs, and from Programs to jobs."""
