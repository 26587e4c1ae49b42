#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: CommandLineTool
label: Take the background off a tile

inputs:
  tile:
    type: File
    inputBinding: {position: 1}
  script:
    type: File
    default: {class: File, location: tiles.py}
    inputBinding: {position: -1}

baseCommand: python3
arguments: [{position: 0, valueFrom: level}]
stdout: $(inputs.tile.basename)

outputs:
  levelled:
    type: stdout
