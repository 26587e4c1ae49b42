"""Batch queues: free nodes over time, holes, and the rules by which a scheduler fills them."""
