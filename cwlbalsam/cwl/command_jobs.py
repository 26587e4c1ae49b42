"""Jobs that are no step of a document, as far as a coordinator knows them: `command_execution` runs them."""

import msgspec

from cwlbalsam.cwl.records import CommandProcess, Process, Program, WorkflowProcess
from cwlbalsam.cwl.tasks import Grant, PilotKind
from cwlbalsam.jobs.commands import COMMAND, Command

COMMAND_PROCESS = CommandProcess(id="command", version="v1.2", digest="command", key="command")
COMMANDS = Program(
    uri="cwlbalsam:commands",
    main=1,
    processes=(
        COMMAND_PROCESS,
        WorkflowProcess(id="queue", version="v1.2", inputs=(), outputs=(), links=(), steps=(), key="queue"),
    ),
    digest="commands-1",
)
"""The Program of all such jobs, in runs of documents too. By itself it is a workflow without steps: a run to which
jobs are only added."""
ENCODED = msgspec.msgpack.encode(COMMANDS)


def process_of(program: Program, index: int) -> Process | None:
    """The process of a stored job; None if its Program, of another version, has none."""
    if index == COMMAND:
        return COMMAND_PROCESS
    return program.processes[index] if 0 <= index < len(program.processes) else None


def grant_of(command: Command) -> Grant:
    """What a command asks for. Its space is its user's affair."""
    ranks = command.ranks or (1 if command.mode != "serial" and not command.nodes else 0)
    return Grant(
        cores=command.cores,
        ram=command.ram,
        tmpdir=0,
        outdir=0,
        gpus=command.gpus,
        ranks=ranks,
        nodes=command.nodes,
        pilot=PilotKind(command.queue, command.account, command.constraint),
    )
