#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: ExpressionTool
label: Choose the run that ends nearest to a target

requirements:
  InlineJavascriptRequirement:
    expressionLib:
      - |
        function distance(run, target) {
          return Math.abs(run.value - target);
        }

inputs:
  runs:
    type:
      type: array
      items:
        type: record
        fields:
          rate: double
          start: double
          value: double
  target: double

outputs:
  best:
    type:
      type: record
      fields:
        rate: double
        start: double
        value: double

expression: |
  ${
    return {best: inputs.runs.reduce(function (best, run) {
      return distance(run, inputs.target) < distance(best, inputs.target) ? run : best;
    })};
  }
