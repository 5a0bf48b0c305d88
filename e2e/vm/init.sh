#!/bin/busybox sh
# First program of the guest. Its own archive cannot be a root that runc may leave, so everything moves to a new one.
/bin/busybox mkdir /new
/bin/busybox mount -t tmpfs -o mode=755 root /new
/bin/busybox mv /bin /new/
for directory in agent etc lib lib64 modules usr; do /new/bin/busybox mv "/$directory" /new/; done
exec /new/bin/busybox switch_root /new /agent/guest.sh
