"""From CWL documents to Programs, and from Programs to jobs.

`compile` needs cwltool and schema-salad; `cache` does without them when nothing that was read has changed.
"""
