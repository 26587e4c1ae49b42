"""Ways between an agent and a launcher: both sides see one conversation that outlives its connections."""
