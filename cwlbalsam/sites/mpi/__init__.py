"""Commands that launch MPI programs: one module each."""

from cwlbalsam.sites.mpi import aprun, flux, ibrun, jsrun, mpich, openmpi, runjob, srun
from cwlbalsam.sites.mpi.base import Launcher

LAUNCHERS: dict[str, Launcher] = {
    "mpich": mpich,
    "openmpi": openmpi,
    "srun": srun,
    "aprun": aprun,
    "jsrun": jsrun,
    "ibrun": ibrun,
    "flux": flux,
    "runjob": runjob,
}
