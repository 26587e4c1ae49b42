#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: CommandLineTool
label: Make a picture of three planes
doc: The planes may share one base name; CWL stages them apart.

inputs:
  planes:
    type: File[]
    inputBinding: {position: 1}
  script:
    type: File
    default: {class: File, location: tiles.py}
    inputBinding: {position: -1}

baseCommand: python3
arguments: [{position: 0, valueFrom: colour}]
stdout: mosaic.ppm

outputs:
  picture:
    type: stdout
