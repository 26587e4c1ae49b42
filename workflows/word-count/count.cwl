#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: CommandLineTool
label: Count the words of a text
doc: Words in lower case, one a line with its count, by word.

requirements:
  ShellCommandRequirement: {}
  EnvVarRequirement:
    envDef:
      LC_ALL: C

inputs:
  text: File

arguments:
  - shellQuote: false
    valueFrom: tr 'A-Z' 'a-z' | tr -cs 'a-z' '\n' | sed '/^$/d' | sort | uniq -c | awk '{ print $2 "\t" $1 }'

stdin: $(inputs.text.path)
stdout: $(inputs.text.nameroot).counts.tsv

outputs:
  counts:
    type: stdout
