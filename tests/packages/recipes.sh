#!/bin/bash
# The recipes for templates that night.sh does not use: virt-customize on an image, cloud-init at a first boot. For make check-nightly;
# needs the network for packages.
#
#   recipes.sh AGENT.deb WHOLE_GUEST     the package, and the directory that whole-guest has filled
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bed=$here/../bed templates=$here/../../packaging/templates
package=$(realpath "$1") whole=$2
work=$(mktemp -d /var/tmp/vmcompact-recipes.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
say () { printf '# %s\n' "$*"; }
fail () { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
suite=$(. /etc/os-release; echo "$VERSION_CODENAME")

say "virt-customize puts the agent into an image that has none"
cp --sparse=always "$whole/disk.raw" "$work/disk.raw"
loop=$(losetup --find --show "$work/disk.raw")
mkdir "$work/mount"
unshare --mount --propagation private sh -c "mount $loop $work/mount && chroot $work/mount dpkg -P vmcompact-agent >$work/log 2>&1 && umount $work/mount" ||
    { cat "$work/log" >&2; losetup --detach "$loop"; fail "the agent cannot be removed from the image"; }
export LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg LIBGUESTFS_CACHEDIR=$work
losetup --detach "$loop"
"$templates/virt-customize" "$work/disk.raw" "$package" >"$work/log" 2>&1 </dev/null || { tail -n 20 "$work/log" >&2; fail "virt-customize"; }
virt-ls --format=raw -a "$work/disk.raw" -m /dev/sda /usr/sbin 2>/dev/null | grep -qx vmcompact-agent || fail "no agent in the image"
virt-ls --format=raw -a "$work/disk.raw" -m /dev/sda /var/tmp | grep -q vmcompact && fail "the package is left in the image"

say "cloud-init installs the agent at the first boot"
mmdebstrap --variant=minbase --include=systemd-sysv,udev,dbus,cloud-init,curl,iproute2,netbase,libjson-c5,libblkid1 "$suite" "$work/root" >"$work/log" 2>&1 </dev/null ||
    { tail -n 20 "$work/log" >&2; fail "mmdebstrap"; }
chmod 755 "$work"
seed=$work/root/var/lib/cloud/seed/nocloud
mkdir -p "$seed" "$work/packages"
cp "$templates/cloud-init.yaml" "$seed/user-data"
echo "instance-id: first" >"$seed/meta-data"
echo "127.0.0.1 localhost packages.example.org" >"$work/root/etc/hosts"
cp "$package" "$work/packages/vmcompact-agent.deb"
printf '[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/usr/bin/python3 -m http.server 80 --directory %s\n' "$work/packages" \
    >"$work/root/etc/systemd/system/packages.service"
cat >"$work/check" <<'CHECK'
cloud-init status --wait >/dev/null # of so small an image other modules fail
dpkg-query -W -f '${Status}\n' vmcompact-agent | grep -qx 'install ok installed' || { tail -n 20 /var/log/cloud-init-output.log; exit 1; }
[ -e /lib/systemd/system/vmcompact-agent.service ] && ! systemctl -q is-active vmcompact-agent.service
CHECK
VMC_HOST_ROOT=$work/root VMC_HOST_WANTS="packages.service cloud-init.target" top_builddir=/ "$bed/systemd-host" /bin/bash "$work/check" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; fail "cloud-init"; }
