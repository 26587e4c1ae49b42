#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: CommandLineTool
label: Add word counts up
doc: The most frequent words first; words of one frequency by alphabet.

inputs:
  counts:
    type: File[]
    inputBinding:
      position: 2
  top:
    type: int
    inputBinding:
      position: 1
  script:
    type: File
    default:
      class: File
      location: merge.py
    inputBinding:
      position: 0

baseCommand: python3
stdout: frequencies.tsv

outputs:
  frequencies:
    type: stdout
