#!/bin/busybox sh
# What the guest does: it comes up, and does the job on its disk once. Everything here is measured into register 9;
# the job is not, and holds no program that runs outside a container.
export PATH=/bin:/usr/bin:/usr/sbin
export NODE_COMPILE_CACHE=/tmp/code # the agent starts twice
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /job
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/shm
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
exec >/dev/ttyS1 2>/dev/console
stty -F /dev/ttyS1 -opost # line ends as they are written

while read -r module; do insmod "/modules/$module" || exit 1; done </modules/order
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0

echo "{\"event\":\"guest.up\",\"kernel\":\"$(uname -r)\",\"node\":\"$(node --version)\"}"
tar -x -f /dev/vda -C /job
agent() {
  node /agent/agent.mjs "$@"
  echo "{\"event\":\"agent.ended\",\"command\":\"$1\",\"status\":$?}"
}
agent enrol /job/agent.json /job/tickets.json
agent run /job/agent.json
for file in /job/results/*.jwe; do
  if [ -f "$file" ]; then echo "{\"event\":\"result\",\"file\":\"${file##*/}\",\"text\":\"$(cat "$file")\"}"; fi
done
echo '{"event":"guest.down"}'
sleep 1 # the line must leave the serial port first
poweroff -f
