#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: CommandLineTool
label: Add tiles up to one plane
doc: Where tiles overlap, their mean is taken.

inputs:
  size:
    type: int[]
    inputBinding: {position: 1}
  tiles:
    type: File[]
    inputBinding: {position: 2}
  script:
    type: File
    default: {class: File, location: tiles.py}
    inputBinding: {position: -1}

baseCommand: python3
arguments: [{position: 0, valueFrom: add}]
stdout: plane.txt

outputs:
  plane:
    type: stdout
