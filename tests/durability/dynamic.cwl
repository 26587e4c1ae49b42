#!/usr/bin/env cwl-runner
# Most of its jobs are known only once others have ended: scatters over outputs, subworkflows under `when`.
cwlVersion: v1.2
$graph:
  - id: list
    class: CommandLineTool
    doc: Makes the files that everything after it works on.
    requirements:
      InlineJavascriptRequirement: {}
      ResourceRequirement: {coresMin: 0.5, ramMin: 16, tmpdirMin: 0, outdirMin: 0}
      InitialWorkDirRequirement:
        listing:
          - entryname: items.sh
            entry: |
              bash "$1" "$2" 0.05 first.txt
              for number in \$(seq 10 $(9 + inputs.count)); do echo "item $number" >item_$number.txt; done
    inputs:
      script: {type: File, default: {class: File, location: work.sh}, inputBinding: {position: 1}}
      place: {type: string, inputBinding: {position: 2}}
      count: int
    baseCommand: [bash, items.sh]
    outputs:
      files: {type: "File[]", outputBinding: {glob: "item_*.txt"}}
      numbers:
        type: int[]
        outputBinding: {glob: "item_*.txt", outputEval: "$(self.map(function (file, index) { return index; }))"}

  - id: work
    class: CommandLineTool
    doc: One step of the work.
    requirements:
      ResourceRequirement: {coresMin: 0.5, ramMin: 16, tmpdirMin: 0, outdirMin: 0}
    inputs:
      script: {type: File, default: {class: File, location: work.sh}, inputBinding: {position: 1}}
      place: {type: string, inputBinding: {position: 2}}
      seconds: {type: double, default: 0.05, inputBinding: {position: 3}}
      output: {type: string, inputBinding: {position: 4}}
      files: {type: "File[]", inputBinding: {position: 5}}
    baseCommand: bash
    outputs:
      made: {type: File, outputBinding: {glob: $(inputs.output)}}

  - id: keep
    class: CommandLineTool
    doc: Gathers files in a directory.
    requirements:
      ResourceRequirement: {coresMin: 0.5, ramMin: 16, tmpdirMin: 0, outdirMin: 0}
    inputs:
      script: {type: File, default: {class: File, location: work.sh}, inputBinding: {position: 1}}
      place: {type: string, inputBinding: {position: 2}}
      files: {type: "File[]", inputBinding: {position: 3}}
    baseCommand: [bash, -c, 'script=$1 place=$2; shift 2; mkdir tree; bash "$script" "$place" 0.05 tree/all.txt "$@"; cp "$@" tree', keep]
    outputs:
      tree: {type: Directory, outputBinding: {glob: tree}}

  - id: pair
    class: Workflow
    doc: Two steps one after the other; every fourth number has only the first.
    requirements:
      StepInputExpressionRequirement: {}
      InlineJavascriptRequirement: {}
      MultipleInputFeatureRequirement: {}
    inputs: {place: string, item: File, number: int}
    steps:
      first:
        run: "#work"
        in:
          place: place
          number: number
          seconds: {valueFrom: "$(0.02 + inputs.number % 4 * 0.02)"}
          output: {valueFrom: "$('first_' + (inputs.number + 10) + '.txt')"}
          files: {source: [item], linkMerge: merge_flattened}
        out: [made]
      second:
        run: "#work"
        when: $(inputs.number % 4 != 0)
        in:
          place: place
          number: number
          output: {valueFrom: "$('second_' + (inputs.number + 10) + '.txt')"}
          files: {source: [first/made, item], linkMerge: merge_flattened}
        out: [made]
    outputs:
      made: {type: File, outputSource: [second/made, first/made], pickValue: first_non_null}

  - id: main
    class: Workflow
    requirements:
      ScatterFeatureRequirement: {}
      SubworkflowFeatureRequirement: {}
      StepInputExpressionRequirement: {}
      InlineJavascriptRequirement: {}
      MultipleInputFeatureRequirement: {}
    inputs: {place: string, count: int}
    steps:
      list: {run: "#list", in: {place: place, count: count}, out: [files, numbers]}
      pairs:
        run: "#pair"
        when: $(inputs.number % 5 != 4)
        scatter: [item, number]
        scatterMethod: dotproduct
        in: {place: place, item: list/files, number: list/numbers}
        out: [made]
      again:
        run: "#work"
        scatter: files
        in:
          place: place
          files:
            source: pairs/made
            pickValue: all_non_null
            valueFrom: $([self])
          seconds: {default: 0.03}
          output: {valueFrom: "$('again_' + inputs.files.basename)"}
        out: [made]
      crossed:
        run: "#work"
        scatter: [output, seconds]
        scatterMethod: flat_crossproduct
        in:
          place: place
          files: list/files
          output: {default: [north.txt, south.txt, east.txt]}
          seconds: {default: [0.02, 0.04, 0.1]}
        out: [made]
      unwanted:
        run: "#pair"
        when: $(inputs.number > 1000)
        in: {place: place, item: {source: list/files, valueFrom: "$(self[0])"}, number: {source: list/numbers, valueFrom: "$(self[0])"}}
        out: [made]
      reduce:
        run: "#work"
        in:
          place: place
          output: {default: total.txt}
          files: {source: [again/made, crossed/made, unwanted/made], linkMerge: merge_flattened, pickValue: all_non_null}
        out: [made]
      keep: {run: "#keep", in: {place: place, files: again/made}, out: [tree]}
    outputs:
      total: {type: File, outputSource: reduce/made}
      parts: {type: "File[]", outputSource: again/made}
      tree: {type: Directory, outputSource: keep/tree}
      none: {type: "File?", outputSource: unwanted/made}
