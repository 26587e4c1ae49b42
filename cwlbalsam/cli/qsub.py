"""`cwlbalsam qsub`: submit commands and batch scripts."""

from typing import Any

import click

from cwlbalsam.cli.tables import Number
from cwlbalsam.errors import EXIT_FAILED
from cwlbalsam.service.home import find_home


@click.command("qsub", context_settings={"allow_interspersed_args": False})
@click.option("--site", default=None, metavar="NAME", help="Where it runs: a site of sites.yml. [default: here]")
@click.option("-N", "--name", default=None, help="[default: the command's]")
@click.option("--mode", type=click.Choice(["serial", "mpi", "script"]), help="See above.")
@click.option("--nodes", type=click.IntRange(1), metavar="N", help="So many whole nodes.")
@click.option("--ranks", "-n", type=click.IntRange(1), metavar="N", help="Ranks of an MPI program, or of a script's.")
@click.option("--cores", "-c", type=Number(0, min_open=True), metavar="N", help="Of each rank. [1]")
@click.option("--ram", type=Number(0), metavar="MIB", help="Memory on each node. [256]")
@click.option("--gpus", type=click.IntRange(0), metavar="N", help="Of each rank. [0]")
@click.option("-t", "--time", "wall", default=None, metavar="TIME", help="At most: 90s, 15m, 2h, 1d or [H:]MM:SS.")
@click.option("-q", "--queue", default=None, help="Of the batch system.")
@click.option("-A", "--account", default=None, help="Of the batch system.")
@click.option("--constraint", default=None, help="On the nodes, as the batch system has it.")
@click.option("--priority", type=float, help="The higher, the earlier. [0]")
@click.option("--after", default="", metavar="JOB,...", help="Start when these have ended well.")
@click.option("-o", "--output", default=None, metavar="FILE", help="What it prints; %j: its number. [NAME.oJOB]")
@click.option("-e", "--error", default=None, metavar="FILE", help="For standard error alone.")
@click.option("-d", "--directory", default=None, metavar="DIR", help="Where it runs. [default: the current directory]")
@click.option("-v", "--env", multiple=True, metavar="NAME[=VALUE]", help="A variable that it gets beside the usual.")
@click.option("-V", "--export-all", is_flag=True, help="It gets all variables.")
@click.option("--preprocess", default="", metavar="COMMAND", help="Runs here before the job may start.")
@click.option("--postprocess", default="", metavar="COMMAND", help="Runs here when it has ended well.")
@click.option("--array", default="", metavar="RANGE", help="A job for each number of 1-100, 0-8:2 or 1,3,5.")
@click.option(
    "--file", "commands_file", default="", metavar="FILE", help="A job for each line, a shell command (-: stdin)."
)
@click.option("--wait", is_flag=True, help="Wait until all have ended; exit code of the first that failed.")
@click.argument("command_line", nargs=-1, type=click.UNPROCESSED, metavar="[--] COMMAND...")
def command(command_line: tuple[str, ...], wait: bool, **given: Any) -> None:
    """Submit COMMAND as a job; prints its number and returns at once.

    serial: a command on one node. mpi: an MPI program, started by the launch command of the site. script: COMMAND is a
    batch script, whose #SBATCH, #PBS or #BSUB lines are read for what is not said here; the mpirun, mpiexec, srun,
    aprun and jsrun that it calls start programs on the job's own nodes.

    \b
    cwlbalsam qsub -- convert a.png a.jpg
    cwlbalsam qsub --site cluster --ranks 64 --time 2h -- ./solver in.dat
    cwlbalsam qsub --site cluster --mode script job.sh      (job.sh alone will do if it has such lines)
    cwlbalsam qsub --after 101,102 --wait -- ./merge
    cwlbalsam qsub --array 1-100 -- sh -c './work $CWLBALSAM_ARRAY_INDEX'
    cwlbalsam qsub --file commands.txt

    `cwlbalsam qstat` shows the jobs, `cwlbalsam qdel` ends them.
    """
    from cwlbalsam.service.submission import Wish, drafts_of, numbers_of, submit_to

    home = find_home()
    wish = Wish(**{name: value for name, value in given.items() if value is not None and name not in ("after",)})
    site, drafts = drafts_of(wish, command_line)
    numbers = submit_to(home, site, drafts, numbers_of(given["after"]))
    click.echo("\n".join(map(str, numbers)))
    if wait:
        click.get_current_context().exit(wait_for(numbers))


def wait_for(numbers: list[int]) -> int:
    """The exit code of the first that failed, 0 if none has."""
    from cwlbalsam.jobs.model import State
    from cwlbalsam.service.queue import wait
    from cwlbalsam.service.runs import ending_of

    code = 0
    for found in wait(find_home(), numbers):
        if found.state is not State.JOB_FINISHED and found.job is not None and not code:
            told = ending_of(found.job)
            click.echo(f"job {found.id}: {told.error or found.job.message or found.state.name}", err=True)
            known = told.exit_code or EXIT_FAILED
            code = 128 - known if known < 0 else known
    return code
