#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: Workflow
label: One band of a mosaic

requirements:
  ScatterFeatureRequirement: {}

inputs:
  tiles: File[]
  size: int[]

outputs:
  plane:
    type: File
    outputSource: add/plane

steps:
  level:
    run: level.cwl
    scatter: tile
    in:
      tile: tiles
    out: [levelled]

  add:
    run: add.cwl
    in:
      tiles: level/levelled
      size: size
    out: [plane]
