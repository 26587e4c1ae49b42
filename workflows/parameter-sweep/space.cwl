#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: ExpressionTool
label: Evenly spaced numbers

requirements:
  InlineJavascriptRequirement: {}

inputs:
  first: double
  last: double
  count: int

outputs:
  values: double[]

expression: |
  ${
    var values = [];
    for (var i = 0; i < inputs.count; i++) {
      values.push(inputs.first + (inputs.last - inputs.first) * (inputs.count > 1 ? i / (inputs.count - 1) : 0));
    }
    return {values: values};
  }
