# Boots a node of the test cluster, in namespaces of its own (scripts/cluster, which fills in the names in braces).
set -e
hostname {node}
for folder in {shared}; do
    mkdir -p {own}$folder
    mount --bind $folder {own}$folder
done
for folder in {private}; do
    mkdir -p -m 1777 {own}$folder
    mount --rbind {own}$folder $folder
done
mkdir -p /var/tmp/slurmd # the node's own; a longer path would not do: the sockets of steps stand there
mount --bind {hosts} /etc/hosts
for folder in {hidden}; do
    mkdir -p {own}/nothing
    mount --bind {own}/nothing $folder
done
slurmd -D -N {node} -f {configuration} > {log} 2>&1 &
while :; do wait || true; sleep 1; done
