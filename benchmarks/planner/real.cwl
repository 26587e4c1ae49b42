cwlVersion: v1.2
$namespaces: {cwltool: "http://commonwl.org/cwltool#"}
$graph:
  - id: nap # a command of known cost, which reads a file
    class: CommandLineTool
    inputs: {seconds: float, table: File}
    outputs: {told: stdout}
    baseCommand: [sh, -c, 'sleep "$1"; wc -c < "$2"', sh]
    arguments: [$(inputs.seconds), $(inputs.table.path)]
    stdout: told.txt
  - id: wide # the same as an MPI job of four ranks
    class: CommandLineTool
    requirements:
      cwltool:MPIRequirement: {processes: 4}
    inputs: {seconds: float}
    outputs: {told: stdout}
    baseCommand: [sh, -c, 'sleep "$0"; echo done']
    arguments: [$(inputs.seconds)]
    stdout: told.txt
  - id: table
    class: CommandLineTool
    inputs: {megabytes: int}
    outputs: {table: stdout}
    baseCommand: [sh, -c, 'sleep 1; head -c "$0"M /dev/zero']
    arguments: [$(inputs.megabytes)]
    stdout: table.bin
  - id: join
    class: CommandLineTool
    inputs: {told: 'File[]'}
    outputs: {all: stdout}
    baseCommand: [sh, -c, 'sleep 1; cat "$@"', sh]
    arguments: [$(inputs.told)]
    stdout: all.txt
  - id: main
    class: Workflow
    requirements: {ScatterFeatureRequirement: {}, MultipleInputFeatureRequirement: {}}
    inputs: {megabytes: int, a: 'float[]', b: 'float[]', c: 'float[]', d: 'float[]', e: 'float[]', w: 'float[]'}
    outputs: {all: {type: File, outputSource: join/all}}
    steps:
      table: {run: '#table', in: {megabytes: megabytes}, out: [table]}
      a: {run: '#nap', scatter: seconds, in: {seconds: a, table: table/table}, out: [told]}
      b: {run: '#nap', scatter: seconds, in: {seconds: b, table: table/table}, out: [told]}
      c: {run: '#nap', scatter: seconds, in: {seconds: c, table: table/table}, out: [told]}
      d: {run: '#nap', scatter: seconds, in: {seconds: d, table: table/table}, out: [told]}
      e: {run: '#nap', scatter: seconds, in: {seconds: e, table: table/table}, out: [told]}
      w: {run: '#wide', scatter: seconds, in: {seconds: w}, out: [told]}
      join:
        in:
          told: {source: [a/told, b/told, c/told, d/told, e/told, w/told], linkMerge: merge_flattened}
        out: [all]
        run: '#join'
