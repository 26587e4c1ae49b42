"""Batch schedulers: one module each."""

from cwlbalsam.sites.schedulers import cobalt, flux, local, lsf, pbs, slurm, torque
from cwlbalsam.sites.schedulers.base import Scheduler

SCHEDULERS: dict[str, Scheduler] = {
    "local": local,
    "slurm": slurm,
    "pbs": pbs,
    "torque": torque,
    "lsf": lsf,
    "cobalt": cobalt,
    "flux": flux,
}
