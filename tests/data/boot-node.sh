# Boots a node of the test cluster, in namespaces of its own (scripts/cluster, which fills in the names in braces).
set -e
hostname {node}
switch() {{ nsenter --net=/proc/self/fd/0 "$@"; }}
until ip link add eth0 type veth peer name {node} netns /proc/self/fd/0; do sleep 0.1; done # its last life is ending
switch ip link set {node} master switch up
ip link set lo up
ip link set eth0 up
ip address add {network}.{number}/24 dev eth0
ip route add default via {network}.254
if [ "{barred}" ]; then # 61000-63000: where srun listens
    for ports in "--dport 6817" "--dport 61000:63000" "--sport 6818"; do
        iptables -A OUTPUT -p tcp $ports -j ACCEPT
    done
    iptables -A OUTPUT -p tcp -d {network}.0/25 -j ACCEPT # other nodes
    iptables -A OUTPUT -p tcp ! -o lo -j DROP
fi
exec < /dev/null
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
