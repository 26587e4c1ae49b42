cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {}}
inputs: {words: File}
outputs: {all: {type: File, outputSource: join/all}}
steps:
  copy:
    in: {words: words}
    out: [words]
    run:
      class: CommandLineTool
      inputs: {words: File}
      outputs: {words: stdout}
      baseCommand: cat
      arguments: [$(inputs.words.path)]
      stdout: words.txt
  lines:
    in: {words: copy/words}
    out: [lines]
    run:
      class: ExpressionTool
      inputs: {words: {type: File, loadContents: true}}
      outputs: {lines: 'string[]'}
      expression: '$({lines: inputs.words.contents.trim().split("\n")})'
  each:
    scatter: line
    in: {line: lines/lines, words: words}
    out: [line]
    run:
      class: CommandLineTool
      inputs: {line: string, words: File}
      outputs: {line: stdout}
      baseCommand: [sh, -c, 'sleep 0.3; grep -x "$1" "$2"', sh]
      arguments: [$(inputs.line), $(inputs.words.path)]
      stdout: line.txt
  join:
    in: {lines: each/line}
    out: [all]
    run:
      class: CommandLineTool
      inputs: {lines: 'File[]'}
      outputs: {all: stdout}
      baseCommand: cat
      arguments: [$(inputs.lines)]
      stdout: all.txt
