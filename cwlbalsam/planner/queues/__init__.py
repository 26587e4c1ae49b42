"""When a batch job of given size would start."""
