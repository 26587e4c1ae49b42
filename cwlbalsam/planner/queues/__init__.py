"""Batch queues: free nodes over time, holes, the rules by which a scheduler fills them, and how long one waits."""
