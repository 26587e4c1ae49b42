#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: Workflow
label: The most frequent words of several texts
doc: Counts the words of every text at the same time, then adds the counts up.

requirements:
  ScatterFeatureRequirement: {}

inputs:
  texts:
    type: File[]
    doc: Plain text files, UTF-8.
  top:
    type: int
    default: 10

outputs:
  frequencies:
    type: File
    outputSource: merge/frequencies
  counts:
    type: File[]
    doc: One table a text.
    outputSource: count/counts

steps:
  count:
    run: count.cwl
    scatter: text
    in:
      text: texts
    out: [counts]

  merge:
    run: merge.cwl
    in:
      counts: count/counts
      top: top
    out: [frequencies]
