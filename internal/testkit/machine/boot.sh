# Becomes process 1 of a machine: it runs in namespaces of its own, lays a throw-away file
# system over that of the host and starts systemd. $1 is an empty folder of the host.
set -eu
mount --make-rprivate /
mount -t tmpfs machine "$1"
cd "$1"
mkdir up work root
mount -t overlay machine -o lowerdir=/,upperdir=up,workdir=work root
cd root

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys # read-only tells systemd to leave the host's devices alone
mount -t cgroup2 cgroup sys/fs/cgroup
for place in run tmp var/log dev; do
    mount -t tmpfs -o mode=755 "$place" "$place"
done
chmod 1777 tmp
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

# Nothing of the host starts here but systemd's own, and of that only what services need.
units=etc/systemd/system
mkdir -p run/systemd etc/systemd/journald.conf.d
rm -rf etc/fstab etc/sentinel var/lib/sentinel
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-hwdb-update.service \
    systemd-update-done.service systemd-firstboot.service systemd-modules-load.service \
    systemd-remount-fs.service systemd-machine-id-commit.service systemd-binfmt.service \
    systemd-timesyncd.service systemd-networkd.service systemd-resolved.service \
    systemd-journal-flush.service systemd-random-seed.service systemd-boot-system-token.service \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount \
    timers.target networking.service nftables.service apparmor.service keyboard-setup.service console-setup.service; do
    ln -sf /dev/null "$units/$unit"
done
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' >"$units/machine.target"
printf '[Journal]\nStorage=volatile\n' >etc/systemd/journald.conf.d/machine.conf

mkdir run/host
pivot_root . run/host
umount -l run/host
rmdir run/host
export container=sentinel-test
exec /lib/systemd/systemd --system --unit=machine.target --show-status=no
