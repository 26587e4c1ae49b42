#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: Workflow
label: A colour mosaic from overlapping tiles in three bands
doc: >
  For each band the tiles are levelled to a common background and added up (one subworkflow a band, one job a tile); the
  three bands become one picture.

requirements:
  ScatterFeatureRequirement: {}
  SubworkflowFeatureRequirement: {}
  MultipleInputFeatureRequirement: {}

inputs:
  red: File[]
  green: File[]
  blue: File[]
  size:
    type: int[]
    doc: Width and height of the mosaic.

outputs:
  picture:
    type: File
    outputSource: colour/picture
  bands:
    type: File[]
    outputSource: band/plane

steps:
  band:
    run: band.cwl
    scatter: tiles
    in:
      tiles:
        source: [red, green, blue]
        linkMerge: merge_nested
      size: size
    out: [plane]

  colour:
    run: colour.cwl
    in:
      planes: band/plane
    out: [picture]
