#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: CommandLineTool
label: A log with line numbers

inputs:
  log:
    type: File
    inputBinding: {}

baseCommand: [grep, -n, ""]
successCodes: [0, 1]
stdout: report.txt

outputs:
  report:
    type: stdout
