"""How long an application takes and how much memory it needs, as a distribution learned from jobs that ran.

numpy is imported by the submodules only, so that a run that plans nothing does without it.
"""
