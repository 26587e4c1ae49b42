# The network of the test cluster (scripts/cluster): a bridge, and a port to this machine.
set -e
ip link add switch type bridge
ip link set switch up
echo up
until ip link set machine master switch up 2> /dev/null; do sleep 0.02; done
exec sleep infinity
