#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: CommandLineTool
label: The errors of a log
doc: A log without errors gives an empty report; grep then ends with 1, which is no failure.

inputs:
  log:
    type: File
    inputBinding: {}

baseCommand: [grep, -n, ERROR]
successCodes: [0, 1]
stdout: report.txt

outputs:
  report:
    type: stdout
