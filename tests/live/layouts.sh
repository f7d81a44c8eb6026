# What lies between a filesystem and its disks: volumes, encryption, stripes. One guest has them all, on disks that are full of
# noise, and is compacted live by one run that chooses each method itself; programs write to some of the filesystems meanwhile.
. "$(dirname "$0")/../bed/bed.sh"

guest_memory=512
guest_modules="dm_mod dm_crypt xts aes_generic xfs crc32c_generic raid0 dm_thin_pool algif_skcipher"
guest_programs="/sbin/lvm /sbin/cryptsetup /sbin/mkfs.ext4 /sbin/resize2fs /sbin/e2fsck /sbin/mkfs.xfs /sbin/mdadm"
size=400 files=24
ext4='mkfs.ext4 -q -F -E nodiscard'
xfs='mkfs.xfs -q -f -K'
lvcreate='lvm lvcreate -qq -y -Wn'

names=() makes=() checks=() disks=()
layout ()               # NAME MAKE CHECK DISK... - lines that make a filesystem $fs and mount it at $at, and that look for damage
{
    names+=("$1") makes+=("$2") checks+=("$3") disks+=("${*:4}")
}

vg () { echo "lvm pvcreate -qq -ff -y $2; lvm vgcreate -qq $1 $2"; }

layout "ext4 on LVM" "$(vg one /dev/vda1); $lvcreate -l60%FREE -n lv one && $ext4 /dev/one/lv && mount /dev/one/lv \$at
$lvcreate -l5 -n other one && lvm lvextend -qq -l+70%FREE /dev/one/lv && resize2fs /dev/one/lv" "e2fsck -fn /dev/one/lv" vda
layout "XFS" "$xfs /dev/vdb1 && mount /dev/vdb1 \$at" "mount -o ro /dev/vdb1 \$at && umount \$at" vdb
layout "XFS on LVM" "$(vg two /dev/vdc1); $lvcreate -l100%FREE -n lv two && $xfs /dev/two/lv && mount /dev/two/lv \$at" \
    "mount /dev/two/lv \$at && umount \$at" vdc
layout "ext4 on LVM on LUKS" "echo secret >/key; cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/vdd1 /key
cryptsetup open /dev/vdd1 safe --key-file /key; $(vg three /dev/mapper/safe)
$lvcreate -l100%FREE -n lv three && $ext4 /dev/three/lv && mount /dev/three/lv \$at" "e2fsck -fn /dev/three/lv" vdd
layout "ext4 on LVM in stripes" "$(vg four "/dev/vde1 /dev/vdf1"); $lvcreate -l40 -i2 -I64k -n stripes four && $ext4 /dev/four/stripes && mount /dev/four/stripes \$at" \
    "e2fsck -fn /dev/four/stripes" vde vdf
layout "ext4 on LVM over two disks" "$lvcreate -l100%FREE -n lv four && $ext4 /dev/four/lv && mount /dev/four/lv \$at" \
    "e2fsck -fn /dev/four/lv" vde vdf
layout "ext4 on RAID 0" "mdadm -q --create /dev/md0 --run --level=0 --raid-devices=2 --metadata=1.2 /dev/vdg1 /dev/vdh1
$ext4 /dev/md0 && mount /dev/md0 \$at" "e2fsck -fn /dev/md0" vdg vdh

layout "ext4 on a thin volume of LVM" "printf 'global { thin_check_executable=\"\" }\n' >>/etc/lvm/lvm.conf; $(vg five /dev/vdi1)
lvm lvcreate -qq -y --type thin-pool -l80%FREE -Zn -n pool five && lvm lvcreate -qq -y --thin -V 200m -n lv five/pool && $ext4 /dev/five/lv && mount /dev/five/lv \$at" \
    "e2fsck -fn /dev/five/lv" vdi

# What the distribution's tools need to work without udev.
prepare='mkdir -p /etc/lvm /run/lock /run/lvm /run/cryptsetup; ln -sf /proc/mounts /etc/mtab
printf "activation { udev_sync=0 udev_rules=0 }\ndevices { use_devicesfile=0 }\nbackup { backup=0 archive=0 }\n" >/etc/lvm/lvm.conf'

# Files of what is on the disks anyhow: noise, with a list of their checksums.
fill="mkdir -p \$at/files; i=0; while [ \$i -lt $((files / 2)) ]; do dd if=/dev/vda bs=1M count=2 skip=\$((i * 17)) of=\$at/files/f\$i 2>/dev/null; i=\$((i + 1)); done
cd \$at/files && rm -f f3 f13 && md5sum f* >/tmp/sums && cp /tmp/sums SUMS && cp SUMS \$at.sums; sync"

free_bytes () { guest g "set -- \$(stat -f -c '%f %S' $1); echo \$((\$1 * \$2))"; }

letters=({a..z})
made=()
for n in a b c d e f g h i; do
    make_noise "$n" qcow2 $size partition
    made+=("$(disk_xml "vd$n" "$images/$n.qcow2")")
done
define_guest g "${made[@]}"
start_guest g
run_in_guest g "$prepare"
for i in "${!names[@]}"; do
    say "making ${names[i]}"
    run_in_guest g "at=/mnt/${letters[i]}; mkdir -p \$at
$(sed "s|^|at=/mnt/${letters[i]}; |" <<<"${makes[i]}")
$(sed "s|^|at=/mnt/${letters[i]}; |" <<<"$fill")"
    case ${names[i]} in *LUKS | *stripes | "XFS on LVM") start_writers g "/mnt/${letters[i]}" 1 ;; esac
done
start_agent g
remember g
for n in a b c d e f g h i; do before[$(printf %d "'$n")]=$(allocated "$images/$n.qcow2"); done

expect_status 3 "$vmcompact" -v --json g # the thin volume's disk: it does not stop the others
expect_text "$work/err" "g (vdi): no filesystem of the guest on it can be mapped: it lies on a device-mapper target 'thin'"
check_same g
guest g "killall writer; sleep 0.3; sync" >/dev/null

# Of what the filesystems of a disk call free, 97 % came back, and all of it was allocated: by disks, for some have two filesystems.
came_back ()            # DISK... - bytes
{
    local disk sum=0
    for disk; do disk=${disk#vd}; sum=$((sum + before[$(printf %d "'$disk")] - $(allocated "$images/$disk.qcow2"))); done
    echo "$sum"
}
for group in vda vdb vdc vdd "vde vdf" "vdg vdh"; do
    free=0 what=
    for i in "${!names[@]}"; do
        [ "${disks[i]}" = "$group" ] || continue
        free=$((free + $(free_bytes "/mnt/${letters[i]}")))
        what="$what${what:+, }${names[i]}"
    done
    # shellcheck disable=SC2086 # a group is a list
    back=$(came_back $group)
    method=$(outcome "${group%% *}")
    say "$what: free in the guest $((free >> 20)) MiB, came back $((back >> 20)) MiB"
    [ $((back * 100)) -ge $((free * 97)) ] || { cat "$work/err" >&2; fail "less than 97 % came back of $what"; }
    for i in "${!names[@]}"; do [ "${disks[i]}" != "$group" ] || seen "${names[i]}" "$method; 97 % or more of what is free came back"; done
done
seen "ext4 on a thin volume of LVM" "$(outcome vdi | sed 's/no filesystem .* mapped: //; s/; --zero.*//')"

run_in_guest g "echo 3 >/proc/sys/vm/drop_caches"
for i in "${!names[@]}"; do
    at=/mnt/${letters[i]}
    case ${names[i]} in *LUKS | *stripes | "XFS on LVM") check_writers g "$at" ;; esac
    run_in_guest g "cd $at/files && md5sum -c SUMS >/tmp/check 2>&1 && cmp SUMS $at.sums"
done
guest g "killall vmcompact-agent; sleep 0.5" >/dev/null
for i in "${!names[@]}"; do run_in_guest g "at=/mnt/${letters[i]}; umount \$at && ${checks[i]}"; done
