cwlVersion: v1.2
class: CommandLineTool
doc: Says how many ranks there are, and on which nodes.
$namespaces: {cwltool: "http://commonwl.org/cwltool#"}
requirements:
  cwltool:MPIRequirement: {processes: $(inputs.ranks)}
  ResourceRequirement: {coresMin: $(inputs.threads), ramMin: 100}
inputs:
  ranks: int
  threads: {type: int, default: 1}
  python: {type: string, inputBinding: {position: 0}}
arguments:
  - position: 1
    valueFrom: -c
  - position: 2
    valueFrom: |
      import socket
      from mpi4py import MPI
      world = MPI.COMM_WORLD
      hosts = world.gather(socket.gethostname())
      if world.rank == 0:
          print(world.size, *sorted(hosts))
baseCommand: []
stdout: told.txt
outputs: {told: {type: stdout}}
