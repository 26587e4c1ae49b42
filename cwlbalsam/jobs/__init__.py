"""The job model: BalsamJob, states, reference trees. No I/O."""
