"""What differs between sites: container engines, schedulers, launch commands, transfers."""
