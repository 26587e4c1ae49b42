#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: Workflow
label: A whole log, or its errors alone if it is long
doc: >
  A long log is cut down to its errors; a short one is taken as it is. Exactly one of the two steps runs, and pickValue
  takes what there is.

requirements:
  InlineJavascriptRequirement: {}
  StepInputExpressionRequirement: {}
  MultipleInputFeatureRequirement: {}

inputs:
  log:
    type: File
  longest:
    type: long
    doc: Bytes above which a log counts as long.
    default: 200

outputs:
  report:
    type: File
    outputSource: [cut/report, keep/report]
    pickValue: the_only_non_null

steps:
  cut:
    run: errors.cwl
    when: $(inputs.log.size > inputs.longest)
    in:
      log: log
      longest: longest
    out: [report]

  keep:
    run: whole.cwl
    when: $(inputs.log.size <= inputs.longest)
    in:
      log: log
      longest: longest
    out: [report]
