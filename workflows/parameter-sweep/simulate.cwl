#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: CommandLineTool
label: Iterate the logistic map
doc: The tool writes cwl.output.json, so its result is a value, not a file.

inputs:
  rate:
    type: double
    inputBinding: {position: 1}
  start:
    type: double
    inputBinding: {position: 2}
  steps:
    type: int
    inputBinding: {position: 3}

baseCommand: [python3, -c]
arguments:
  - position: 0
    valueFrom: |
      import json, sys
      rate, start, steps = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
      value = start
      for _ in range(steps):
          value = rate * value * (1 - value)
      json.dump({"run": {"rate": rate, "start": start, "value": round(value, 6)}}, open("cwl.output.json", "w"))

outputs:
  run:
    type:
      type: record
      fields:
        rate: double
        start: double
        value: double
