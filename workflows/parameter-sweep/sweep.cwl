#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: Workflow
label: Sweep two parameters of a model and keep the best run
doc: >
  Runs the logistic map x -> r x (1 - x) for every pair of a growth rate and a start value, and names the pair that
  ends nearest to a target.

requirements:
  ScatterFeatureRequirement: {}
  StepInputExpressionRequirement: {}
  InlineJavascriptRequirement: {}

inputs:
  first_rate: double
  last_rate: double
  rates:
    type: int
    doc: How many growth rates, evenly spaced from first_rate to last_rate.
  starts: double[]
  steps: int
  target: double

outputs:
  best:
    type:
      type: record
      fields:
        rate: double
        start: double
        value: double
    outputSource: choose/best
  table:
    type: File
    outputSource: tabulate/table

steps:
  space:
    run: space.cwl
    in: {first: first_rate, last: last_rate, count: rates}
    out: [values]

  simulate:
    run: simulate.cwl
    scatter: [rate, start]
    scatterMethod: flat_crossproduct
    in:
      rate: space/values
      start: starts
      steps: steps
    out: [run]

  tabulate:
    run: tabulate.cwl
    in:
      runs: simulate/run
    out: [table]

  choose:
    run: choose.cwl
    in:
      runs: simulate/run
      target: target
    out: [best]
