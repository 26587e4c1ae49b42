#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: CommandLineTool
label: Write the runs of a sweep as a table
doc: Rate, start and last value of each run, by the last value.

requirements:
  InlineJavascriptRequirement: {}
  EnvVarRequirement:
    envDef:
      LC_ALL: C
  InitialWorkDirRequirement:
    listing:
      - entryname: runs.csv
        entry: |-
          ${
            return inputs.runs.map(function (run) {
              return [run.rate.toFixed(3), run.start.toFixed(3), run.value.toFixed(6)].join(",") + "\n";
            }).join("");
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

baseCommand: [sort, -t, ",", -k, "3,3n", runs.csv]
stdout: table.csv

outputs:
  table:
    type: stdout
