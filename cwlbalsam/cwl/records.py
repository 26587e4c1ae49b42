"""The records that a CWL document is compiled to.

A `Program` is all that is needed to run a document: frozen, without URIs to follow, without requirements to inherit,
cheap to load. The parser writes it, a worker reads it. Values of CWL (`Any` below) are JSON values; a File or Directory
is a dict with `class`.
"""

from typing import Any, Literal

from msgspec import Struct

ListingDepth = Literal["no_listing", "shallow_listing", "deep_listing"]


class Record(Struct, frozen=True, omit_defaults=True):
    """Base of all records. `place` is `file:line:column` of the source, for messages only."""


# --- expressions ---------------------------------------------------------------------------------------------------


class Ref(Record, tag="ref", frozen=True, kw_only=True):
    """A parameter reference compiled to an access path: `$(inputs.reads[0].basename)`."""

    root: str
    path: tuple[str | int, ...] = ()
    text: str  # the source without `$(` and `)`: evaluated as JavaScript if the path fails and JavaScript is allowed


class Js(Record, tag="js", frozen=True, kw_only=True):
    """JavaScript: a function body (`${...}`) or an expression (`$(...)`)."""

    code: str
    body: bool = False


class Expr(Record, tag="expr", frozen=True, kw_only=True):
    """A string with at least one expression in it.

    One part: the value keeps its type. Several: they are joined to a string. Literal strings are never an `Expr`.
    """

    parts: tuple[str | Ref | Js, ...]
    text: str
    place: str = ""


Template = str | Expr


class Scope(Record, frozen=True, kw_only=True):
    """How expressions of one process or step are evaluated."""

    javascript: bool = False
    expression_lib: tuple[str, ...] = ()


# --- types and parameters ------------------------------------------------------------------------------------------


class Binding(Record, tag="binding", frozen=True, kw_only=True):
    """inputBinding, or an entry of `arguments`."""

    position: int | Expr = 0
    prefix: str | None = None
    separate: bool = True
    item_separator: str | None = None
    value_from: Template | None = None
    shell_quote: bool = True
    place: str = ""


class OutputBinding(Record, frozen=True, kw_only=True):
    """outputBinding, also of a field of an output record. `stream` stands for the types stdout and stderr."""

    glob: tuple[Template, ...] = ()
    output_eval: Template | None = None
    load_contents: bool = False
    load_listing: ListingDepth | None = None
    place: str = ""


class Primitive(Record, tag="primitive", frozen=True, kw_only=True):
    name: Literal["null", "boolean", "int", "long", "float", "double", "string", "File", "Directory", "Any"]


class ArrayType(Record, tag="array", frozen=True, kw_only=True):
    items: "Type"
    binding: Binding | None = None


class EnumType(Record, tag="enum", frozen=True, kw_only=True):
    symbols: tuple[str, ...]
    name: str = ""
    binding: Binding | None = None


class RecordType(Record, tag="record", frozen=True, kw_only=True):
    fields: tuple["Field", ...]
    name: str = ""
    binding: Binding | None = None


class UnionType(Record, tag="union", frozen=True, kw_only=True):
    """Optional types are unions with null; nested unions are flattened."""

    options: tuple["Type", ...]


Type = Primitive | ArrayType | EnumType | RecordType | UnionType


class SecondaryFile(Record, frozen=True, kw_only=True):
    """`required` is already defaulted: true for inputs, false for outputs."""

    pattern: Template
    required: bool | Expr = True
    place: str = ""


class Field(Record, frozen=True, kw_only=True):
    """A parameter of a process, or a field of a record type: both have the same properties in CWL."""

    name: str
    type: Type
    default: Any = None
    binding: Binding | None = None
    output: OutputBinding | None = None
    secondary_files: tuple[SecondaryFile, ...] = ()
    format: tuple[Template, ...] = ()
    load_contents: bool = False
    load_listing: ListingDepth | None = None
    streamable: bool = False
    label: str = ""
    doc: str = ""
    place: str = ""


# --- requirements --------------------------------------------------------------------------------------------------


class Docker(Record, frozen=True, kw_only=True):
    """DockerRequirement; `required` is false for a hint."""

    pull: str = ""
    load: str = ""
    file: str = ""
    import_: str = ""
    image_id: str = ""
    output_directory: str = ""
    required: bool = False
    place: str = ""


class Resources(Record, frozen=True, kw_only=True):
    """ResourceRequirement as written; sizes in MiB. None: not said (the version's default counts)."""

    cores_min: float | Expr | None = None
    cores_max: float | Expr | None = None
    ram_min: float | Expr | None = None
    ram_max: float | Expr | None = None
    tmpdir_min: float | Expr | None = None
    tmpdir_max: float | Expr | None = None
    outdir_min: float | Expr | None = None
    outdir_max: float | Expr | None = None
    place: str = ""


class Dirent(Record, tag="dirent", frozen=True, kw_only=True):
    """An entry of InitialWorkDirRequirement.listing."""

    entry: Template
    entryname: Template | None = None
    writable: bool = False
    place: str = ""


class LiteralEntry(Record, tag="literal", frozen=True, kw_only=True):
    """A File or Directory object written out in InitialWorkDirRequirement.listing."""

    value: Any


class Mpi(Record, frozen=True, kw_only=True):
    processes: int | Expr
    place: str = ""


class Cuda(Record, frozen=True, kw_only=True):
    version_min: str = ""
    compute_capability: tuple[str, ...] = ()
    device_count_min: int | Expr = 1
    device_count_max: int | Expr | None = None
    place: str = ""


class Software(Record, frozen=True, kw_only=True):
    """A package of a SoftwareRequirement; `required` is false for a hint."""

    package: str
    versions: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()
    required: bool = False
    place: str = ""


class Scripts(Record, frozen=True, kw_only=True):
    """cwlbalsam:Scripts: commands before and after a job, outside of the allocation."""

    preprocess: tuple[str, ...] = ()
    postprocess: tuple[str, ...] = ()
    place: str = ""


class Batch(Record, frozen=True, kw_only=True):
    """cwlbalsam:Batch: what a job wants of a batch system. None, "": as the site has it.

    wall_seconds: as long as the job is let run. exclusive: a node of its own. The higher its priority, the earlier.
    """

    wall_seconds: float | Expr = 0.0
    queue: str = ""
    account: str = ""
    constraint: str = ""
    exclusive: bool = False
    priority: float = 0.0
    place: str = ""


class Requirements(Record, frozen=True, kw_only=True):
    """What holds for one process, requirements and hints of its callers already resolved."""

    javascript: bool = False
    expression_lib: tuple[str, ...] = ()
    load_listing: ListingDepth = "no_listing"
    docker: Docker | None = None
    software: tuple[Software, ...] = ()
    workdir: tuple[Dirent | LiteralEntry | Expr, ...] | Expr = ()
    workdir_place: str = ""
    env: tuple[tuple[str, Template], ...] = ()
    shell: bool = False
    resources: Resources = Resources()
    work_reuse: bool | Expr = True
    network: bool | Expr = False
    inplace_update: bool = False
    time_limit: float | Expr = 0.0  # seconds; 0 means none
    mpi: Mpi | None = None
    cuda: Cuda | None = None
    secrets: tuple[str, ...] = ()
    scripts: Scripts | None = None
    batch: Batch | None = None
    site: str = ""  # where it had best run


# --- processes -----------------------------------------------------------------------------------------------------


class ToolProcess(Record, tag="tool", frozen=True, kw_only=True):
    """CommandLineTool. `id` is the process's short name, for messages; `version` is of its own source file."""

    id: str
    version: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    requirements: Requirements = Requirements()
    base_command: tuple[str, ...] = ()
    arguments: tuple[str | Expr | Binding, ...] = ()
    stdin: Template | None = None
    stdout: Template | None = None
    stderr: Template | None = None
    success_codes: tuple[int, ...] = ()
    temporary_fail_codes: tuple[int, ...] = ()
    permanent_fail_codes: tuple[int, ...] = ()
    digest: str = ""  # of what it computes: without places, labels, hints; "" until the parser has filled it in
    key: str = ""  # of all that decides what its jobs do: the digest's and what its callers require
    place: str = ""


class ExpressionProcess(Record, tag="expression", frozen=True, kw_only=True):
    """ExpressionTool."""

    id: str
    version: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    requirements: Requirements = Requirements()
    expression: Template
    digest: str = ""
    key: str = ""
    place: str = ""


class OperationProcess(Record, tag="operation", frozen=True, kw_only=True):
    """Operation: has no implementation, so it can be drawn and checked but not run."""

    id: str
    version: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    requirements: Requirements = Requirements()
    digest: str = ""
    key: str = ""
    place: str = ""


class CommandProcess(Record, tag="command", frozen=True, kw_only=True):
    """What runs a job that is no step of a document: a command that is its only input."""

    id: str
    version: str
    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()
    requirements: Requirements = Requirements()
    digest: str = ""
    key: str = ""
    place: str = ""


class Source(Record, frozen=True, kw_only=True):
    """A source of data: a workflow input (`step` is empty) or a step's output."""

    step: str = ""
    port: str


class Link(Record, frozen=True, kw_only=True):
    """What feeds a step input or a workflow output, in the order of the specification's steps.

    sources: none: only default and value_from count. link_merge is None when nothing is to be merged.
    """

    name: str
    sources: tuple[Source, ...] = ()
    link_merge: Literal["merge_nested", "merge_flattened"] | None = None
    pick_value: Literal["first_non_null", "the_only_non_null", "all_non_null"] | None = None
    default: Any = None
    load_contents: bool = False
    load_listing: ListingDepth | None = None
    value_from: Template | None = None
    place: str = ""


class Loop(Record, frozen=True, kw_only=True):
    """A step that repeats while `when` holds. `links` feed the next iteration; their sources have an empty step and
    name outputs of the iteration before."""

    links: tuple[Link, ...]
    output_method: Literal["last_iteration", "all_iterations"] = "last_iteration"
    place: str = ""


class Step(Record, frozen=True, kw_only=True):
    """`run` indexes `Program.processes`. `scope` is for value_from and when."""

    name: str
    run: int
    inputs: tuple[Link, ...]
    outputs: tuple[str, ...]
    scatter: tuple[str, ...] = ()
    scatter_method: Literal["dotproduct", "flat_crossproduct", "nested_crossproduct"] = "dotproduct"
    when: Template | None = None
    loop: Loop | None = None
    scope: Scope = Scope()
    version: str
    key: str = ""  # of all that it does itself: links, valueFrom, when, scatter, loop
    place: str = ""


class WorkflowProcess(Record, tag="workflow", frozen=True, kw_only=True):
    id: str
    version: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    links: tuple[Link, ...]  # one for each output
    steps: tuple[Step, ...]
    requirements: Requirements = Requirements()
    digest: str = ""
    key: str = ""
    place: str = ""


Process = ToolProcess | ExpressionProcess | OperationProcess | CommandProcess | WorkflowProcess


class Program(Record, frozen=True, kw_only=True):
    """A compiled document. `processes[main]` is what is run; steps name other processes by index."""

    uri: str
    main: int
    processes: tuple[Process, ...]
    namespaces: dict[str, str] = {}  # prefixes of the main document, which job orders may use
    ontology: dict[str, tuple[str, ...]] = {}  # format IRI -> parents and equivalents
    digest: str = ""
