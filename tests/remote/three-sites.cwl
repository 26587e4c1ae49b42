cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, StepInputExpressionRequirement: {}, InlineJavascriptRequirement: {}}
inputs:
  texts: {type: 'File[]', secondaryFiles: [.idx]}
  folder: Directory
  unused: File
outputs:
  report: {type: File, outputSource: report/out}
  sorted: {type: 'File[]', outputSource: sort/out}
  tree: {type: Directory, outputSource: plant/out}
  picked: {type: string, outputSource: pick/first}
  never: {type: 'File?', outputSource: skipped/out}
steps:
  sort: # on the cluster
    scatter: text
    in: {text: texts}
    out: [out]
    run:
      class: CommandLineTool
      inputs: {text: {type: File, secondaryFiles: [.idx]}}
      outputs: {out: stdout}
      baseCommand: [sh, -c, 'sort "$1"; cat "$1.idx"', sh]
      arguments: [$(inputs.text.path)]
      stdout: $(inputs.text.nameroot).sorted
  plant: # on the plain site
    in: {sorted: sort/out, folder: folder}
    out: [out]
    run:
      class: CommandLineTool
      inputs: {sorted: 'File[]', folder: Directory}
      outputs: {out: {type: Directory, outputBinding: {glob: tree}}}
      baseCommand: [sh, -c, 'd=$1; shift; mkdir -p tree/sub; cat "$@" > tree/all; cp "$d"/* tree/sub', sh]
      arguments: [$(inputs.folder.path), $(inputs.sorted)]
  pick: # where its file is
    in: {sorted: sort/out}
    out: [first]
    run:
      class: ExpressionTool
      inputs: {sorted: {type: 'File[]', loadContents: true}}
      outputs: {first: string}
      expression: '$({first: inputs.sorted[0].contents.split("\n")[0]})'
  skipped:
    when: $(inputs.wanted)
    in: {text: unused, wanted: {default: false}}
    out: [out]
    run:
      class: CommandLineTool
      inputs: {text: File}
      outputs: {out: stdout}
      baseCommand: cat
      arguments: [$(inputs.text.path)]
  report: # here
    in: {tree: plant/out, sorted: sort/out, name: {source: unused, valueFrom: $(self.basename)}}
    out: [out]
    run:
      class: CommandLineTool
      inputs: {tree: Directory, sorted: 'File[]', name: string}
      outputs: {out: stdout}
      baseCommand: [sh, -c, 'echo "$1"; cat "$2"/all "$2"/sub/*; shift 2; wc -l < "$1"', sh]
      arguments: [$(inputs.name), $(inputs.tree.path), $(inputs.sorted)]
      stdout: report.txt
