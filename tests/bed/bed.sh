# bed.sh - the test bed, sourced by tests that need a real guest (run by "world", which gives them a libvirtd)
#
# A test makes images (make_image), defines and starts guests (define_guest, start_guest), runs commands in them
# (guest), runs vmcompact, and compares what was before with what is after (remember, check_unharmed). It ends with
# "done_testing". All files lie in $work, below VMC_ROOM (/var/tmp), which is removed at the end.

set -eu
bed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top_builddir=${top_builddir:-$(cd "$bed/../.." && pwd)}
agent=$top_builddir/vmcompact-agent
vmcompact=$top_builddir/vmcompact
[ -x "$top_builddir/.libs/vmcompact" ] && vmcompact=$top_builddir/.libs/vmcompact
liar=$top_builddir/tests/bed/liar
writer=$top_builddir/tests/bed/writer
work=$(mktemp -d "${VMC_ROOM:-/var/tmp}/vmcompact-test.XXXXXX")
chmod 755 "$work"
images=$work/images
mkdir -m 755 "$images"
test_name=$(basename "$0" .sh)

end_as () { cleanup_bed "$1"; exit "$1"; } # STATUS - the last of a trap that does something else before

cleanup_bed ()          # [STATUS]
{
    local status=${1:-$?} domain
    for domain in $(virsh list --name 2>/dev/null); do virsh -q destroy "$domain" >/dev/null 2>&1 || true; done
    umount "$images" 2>/dev/null || true # where a test has put a filesystem of its own
    if [ -n "${VMC_KEEP:-}" ]; then echo "kept: $work" >&2; else rm -rf "$work"; fi
    [ $status = 0 ] || echo "FAIL: $test_name" >&2
}
trap cleanup_bed EXIT

# Some tests have a short form, for each day, and with VMC_LONG set try everything.
in_short () { [ -z "${VMC_LONG:-}" ]; }
in_long () { in_short || echo "$@"; }  # WORD... - those more

say () { printf '# %s\n' "$*"; }
fail () { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
expect_status ()        # WANTED COMMAND... - run COMMAND, keep its output in $work/out and $work/err
{
    local wanted=$1 status=0; shift
    "$@" >"$work/out" 2>"$work/err" || status=$?
    [ "$status" = "$wanted" ] && return
    sed 's/^/  out: /' "$work/out" >&2; sed 's/^/  err: /' "$work/err" >&2
    fail "exit status $status, not $wanted, of: $*"
}
expect_text () { grep -q -- "$2" "$1" || { cat "$1" >&2; fail "no '$2' in $1"; }; }
seen ()                 # WHAT OUTCOME - a row of the README's table, made of what was just seen: the README must have it
{
    local row
    row=$(printf '    %-44s %s' "$1" "$2")
    if [ -n "${VMC_TABLE:-}" ]; then
        printf '%s\n' "$row" >>"$VMC_TABLE/$test_name"
    else
        grep -qxF -- "$row" "$bed/../../README" || fail "the README has another row than this (make readme-table): $row"
    fi
}
outcome ()              # [TARGET] - of the disk in the JSON of $work/out: "METHOD", or "refused: WHY"
{
    python3 - "$work/out" "${1:-}" <<'PY'
import json, sys
for line in open(sys.argv[1]):
    for disk in json.loads(line)["disks"]:
        if sys.argv[2] in ("", disk["target"]):
            print(disk["method"] if disk["error"] is None else "refused: " + disk["error"])
            sys.exit()
PY
}
allocated () { echo $(( $(stat -c %b "$1") * 512 )); }

# --- images -----------------------------------------------------------------------------------------------------

make_files ()           # DIRECTORY MIB - files of several sizes with a list of their checksums
{
    local left=$2 i=0 size
    mkdir -p "$1"
    while [ "$left" -gt 0 ]; do
        size=$(( i % 5 == 0 ? 8 : i % 3 + 1 ))
        [ "$size" -gt "$left" ] && size=$left
        noise "$size" >"$1/file$i"
        left=$((left - size)) i=$((i + 1))
    done
    for i in $(seq 50); do head -c $((i * 37)) /dev/urandom >"$1/small$i"; done
    (cd "$1" && md5sum ./* >../SUMS && mv ../SUMS SUMS)
}

noise ()                # MIB - that much incompressible data, fast: from somewhere in a file of it that is made once and kept
{
    local kept=${VMC_CACHE:-/var/cache/vmcompact-test}/noise kept_mib=256 left=$1 some new
    if [ ! -e "$kept" ]; then
        new=$kept.$BASHPID.$RANDOM
        mkdir -p "${kept%/*}"
        head -c $((kept_mib << 20)) /dev/urandom >"$new"
        mv "$new" "$kept"
    fi
    while [ "$left" -gt 0 ]; do
        some=$((left < kept_mib / 2 ? left : kept_mib / 2))
        dd if="$kept" bs=1M iflag=skip_bytes,fullblock count=$some skip=$(((RANDOM << 15 | RANDOM) % (kept_mib << 19))) status=none
        left=$((left - some))
    done
}

# make_image NAME FORMAT SIZE_MIB DIRTY_MIB FILES_MIB LAYOUT [MKFS_OPTION...]
#   LAYOUT: disk (ext4 on the whole disk), mbr or gpt (ext4 on a partition that starts at 1 MiB)
#   DIRTY_MIB of the image are filled with noise first, so that free blocks are allocated on the host
make_image ()
{
    local name=$1 format=$2 size=$3 dirty=$4 files=$5 layout=$6 raw=$work/$1.tmp offset=0 length; shift 6
    noise "$dirty" >"$raw"
    truncate -s "${size}M" "$raw"
    length=$size
    case $layout in
        mbr) printf 'label: dos\nstart=2048, type=83\n' | sfdisk -q "$raw"; offset=1; length=$((size - 1)) ;;
        gpt) head -c 1048576 /dev/zero | dd of="$raw" bs=1M seek=$((size - 1)) conv=notrunc status=none
             printf 'label: gpt\nstart=2048, size=%s\n' $(((size - 2) * 2048)) | sfdisk -q "$raw"
             offset=1; length=$((size - 2)) ;;
    esac
    [ -d "$work/files.$files" ] || make_files "$work/files.$files/files" "$files"
    mkfs.ext4 -q -F -E "nodiscard,offset=$((offset * 1048576)),lazy_itable_init=1" "$@" -d "$work/files.$files" "$raw" "${length}M" 2>"$work/mkfs.log" ||
        { cat "$work/mkfs.log" >&2; fail "mkfs"; }
    echo $((offset * 1048576)) >"$work/$name.offset"
    case $format in
        raw) mv "$raw" "$images/$name.raw" ;;
        qcow2) qemu-img convert -q ${keep_zeros:+-S 0} -f raw -O qcow2 "$raw" "$images/$name.qcow2"; rm "$raw" ;;
    esac
}

make_noise ()           # NAME FORMAT SIZE_MIB [partition] - every block of it is allocated; what lies on it is for the guest to make
{
    local raw=$work/$1.tmp
    noise "$3" >"$raw"
    [ "${4:-}" != partition ] || printf 'label: dos\nstart=2048, type=83\n' | sfdisk -q --no-reread "$raw"
    case $2 in
        raw) mv "$raw" "$images/$1.raw" ;;
        qcow2) qemu-img convert -q ${keep_zeros:+-S 0} -f raw -O qcow2 "$raw" "$images/$1.qcow2"; rm "$raw" ;;
    esac
}

from_zeroed_copy ()     # FILE FORMAT OFFSET [NEW_FORMAT] - what qemu-img makes of a copy with holes for free blocks: "used length", in bytes
{
    qemu-img convert -q -f "$2" -O raw "$1" "$work/zeroed"
    dumpe2fs "$work/zeroed?offset=$3" 2>/dev/null | python3 -c 'import ctypes, os, re, sys
text = sys.stdin.read()
size = int(re.search(r"Block size: +(\d+)", text).group(1))
file = os.open(sys.argv[1], os.O_RDWR)
for line in re.findall(r"Free blocks: ([\d, -]+)", text):
    for part in filter(None, line.split(", ")):
        first, _, last = part.partition("-")
        place = int(sys.argv[2]) + int(first) * size, (int(last or first) - int(first) + 1) * size
        if ctypes.CDLL(None).fallocate(file, 3, *map(ctypes.c_long, place)) != 0: # punch a hole, keep the size
            sys.exit("fallocate")' "$work/zeroed" "$3"
    qemu-img convert -q -f raw -O "${4:-$2}" "$work/zeroed" "$work/small"
    echo "$(allocated "$work/small") $(stat -c %s "$work/small")"
    rm "$work/zeroed" "$work/small"
}

# --- guests -----------------------------------------------------------------------------------------------------

guest_files ()
{
    [ -e "$work/guest/kernel" ] ||
        VMC_GUEST_MODULES=${guest_modules:-} "$bed/guest-files" "$work/guest" "$agent" "$writer" ${liar:+"$liar"} ${probe:+"$probe"} ${guest_programs:-}
}

disk_xml ()             # TARGET FILE [DRIVER_ATTRIBUTES] [EXTRA_ELEMENTS] - one <disk>; sd* is on virtio-scsi
{
    local bus=virtio; case $1 in sd*) bus=scsi ;; esac
    printf "<disk type='file' device='disk'><driver name='qemu' type='%s' %s/><source file='%s'/><target dev='%s' bus='%s'/>%s</disk>\n" \
        "${2##*.}" "${3:-}" "$2" "$1" "$bus" "${4:-}"
}

# Guests with qemu-guest-agent: these two variables have to be set.
qemu_agent_program=/usr/sbin/qemu-ga    # in guest_programs
qemu_agent_channel=org.qemu.guest_agent.0 # in more_channel

# Half of what an emulated boot takes: the kernel's tests of its own ciphers, AML, and MSI that fails without it; nothing here needs them.
cheap_boot="cryptomgr.notests acpi=off pci=nomsi"

define_guest ()         # NAME DISK_XML... - define a guest with a channel for the agent, one for the test, and $more_channel
{
    local name=$1; shift
    rm -f "$work/$name.waits"
    guest_files
    make_pipes "$name"
    cat >"$work/$name.define.xml" <<XML
<domain type='qemu'>
  <name>$name</name><description>für Tests, € 0</description><memory unit='MiB'>${guest_memory:-256}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='${VMC_MACHINE:-pc}'>hvm</type><kernel>$work/guest/kernel</kernel><initrd>$work/guest/initramfs</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 $cheap_boot ${boots_often:+wait_here}</cmdline></os>
  <features><acpi/></features>
  <devices>
    $(printf '%s\n' "$@")
    $(case "$*" in *"bus='scsi'"*) echo "<controller type='scsi' model='virtio-scsi'/>" ;; esac)
    <channel type='unix'><target type='virtio' name='${VMC_CHANNEL:-org.vmcompact.agent.0}'/></channel>
    <channel type='pipe'><source path='$work/$name.shell'/><target type='virtio' name='org.vmcompact.test.0'/></channel>
    ${more_channel:+<channel type='unix'><target type='virtio' name='$more_channel'/></channel>}
    <serial type='file'><source path='$work/$name.console'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
XML
    virsh -q define "$work/$name.define.xml"
}

make_pipes ()           # NAME - the ends of the channel for the test: with FIFOs, there is never nobody at the other end
{
    [ -p "$work/$1.shell.in" ] || mkfifo -m 666 "$work/$1.shell.in" "$work/$1.shell.out"
}

guest ()                # NAME COMMAND - run a line of shell in the guest
{
    "$bed/guest-exec" "$work/$1.shell" "${guest_timeout:-60}" "$2"
}

# Where a test sets boots_often, the first boot of a guest stops when its kernel has booted, but has not looked at a disk yet. From then
# on it is started from there, on the disks that its XML names now, which saves most of the time that an emulated boot takes.
boots_often=

keep_waiting ()         # NAME - keep the guest as it is while it waits, and let it go on
{
    local try
    for try in $(seq 200); do
        ! grep -q 'test guest waits' "$work/$1.console" || break
        sleep 0.05
    done
    virsh -q suspend "$1"
    if grep -q 'test guest goes on' "$work/$1.console"; then virsh -q resume "$1"; return; fi # too late this time
    virsh -q save "$1" "$work/$1.waits"
    start_waiting "$1"
}

start_waiting ()        # NAME - the guest that was kept, by its XML of now
{
    make_pipes "$1"
    virsh dumpxml --inactive "$1" >"$work/$1.start.xml"
    virsh -q restore --running --xml "$work/$1.start.xml" "$work/$1.waits"
}

start_guest ()          # NAME [COMMAND ARGUMENT] - boot it (by "virsh start NAME", or another command) and wait for its shell
{
    make_pipes "$1"
    chmod 711 "$work"; touch "$work/$1.console"; chmod 666 "$work/$1.console"
    chown libvirt-qemu "$work" 2>/dev/null || true
    if [ $# = 1 ] && [ -e "$work/$1.waits" ]; then
        start_waiting "$1"
    else
        virsh -q "${2:-start}" "${3:-$1}"
        [ $# != 1 ] || [ -z "$boots_often" ] || keep_waiting "$1"
    fi
    local try
    for try in $(seq 100); do
        grep -q 'test guest is up' "$work/$1.console" && break
        sleep 0.2
    done
    guest "$1" true || { tail -20 "$work/$1.console" >&2; fail "guest $1 did not come up"; }
}

start_agent ()          # NAME [PROGRAM AND ARGUMENTS] - start the agent (or what poses as it) in the guest
{
    guest "$1" "${2:-/vmcompact-agent} >/tmp/agent.log 2>&1 & echo \$! >/tmp/agent.pid; sleep 0.3; kill -0 \$! || { cat /tmp/agent.log; ls -l /dev/virtio-ports; false; }" >"$work/started" ||
        { cat "$work/started" >&2; fail "the agent does not start in $1"; }
    await_channel "$1" org.vmcompact.agent.0
}

start_qemu_agent ()     # NAME - start qemu-guest-agent in the guest
{
    guest "$1" "mkdir -p /var/log; qemu-ga -d -m virtio-serial -p /dev/virtio-ports/$qemu_agent_channel -t /run -f /run/qemu-ga.pid" >/dev/null
    await_channel "$1" "$qemu_agent_channel"
}

await_channel ()        # NAME CHANNEL - until the guest has it open
{
    local try
    for try in $(seq 50); do
        virsh dumpxml "$1" | grep -q "$2' state='connected'" && return
        sleep 0.1
    done
    fail "the agent did not open its port"
}

run_in_guest ()         # NAME LINES - each line of shell in the guest; the first that fails is told
{
    local line
    while read -r line; do
        [ -z "$line" ] || guest_timeout=180 guest "$1" "$line" >"$work/guest.log" 2>&1 || { cat "$work/guest.log" >&2; fail "in the guest: $line"; }
    done <<<"$2"
}
start_writers ()        # NAME DIRECTORY COUNT
{
    local n
    for n in $(seq "$3"); do guest "$1" "writer w$n $2 >/tmp/writer$n.log 2>&1 & sleep 0.1" >/dev/null || fail "no writer in $1"; done
}

check_writers ()        # NAME DIRECTORY - stop the writers; every file that they named must read back from the disk
{
    guest "$1" "killall writer 2>/dev/null; sleep 0.3; sync; echo 3 >/proc/sys/vm/drop_caches" >/dev/null
    guest "$1" "[ \$(ls $2/w*/*.* | wc -l) -gt 4 ]" || fail "the writers did not write"
    guest "$1" "writer --check $2/w*/*.*" ||
        fail "a file of a writer is damaged"
}

check_files ()          # NAME DIRECTORY - the files that were on the image from the start, read with cold caches
{
    guest_timeout=120 guest "$1" "echo 3 >/proc/sys/vm/drop_caches; cd $2/files && md5sum -c SUMS >/tmp/sums.log 2>&1 || { grep -v OK /tmp/sums.log; exit 1; }" ||
        fail "a file of guest $1 is damaged"
}

# --- before and after ---------------------------------------------------------------------------------------------

image_facts='%n %U %G %a %i'    # a test of a convert leaves out the inode: the image is another file afterwards

live_disks ()           # NAME - the disks of the live XML without the node numbers that change with each reopening
{
    virsh dumpxml "$1" | sed -n "/<disk /,/<\/disk>/p" | sed "s/ index='[0-9]*'//"
}

remember ()             # NAME - what must be the same afterwards
{
    virsh dumpxml --inactive "$1" >"$work/$1.inactive"
    live_disks "$1" >"$work/$1.live"
    (cd "$images" && find . | sort) >"$work/folder"
    stat -c "$image_facts" "$images"/* >"$work/stat"
}

check_same ()           # NAME - XML, folder, owners and inodes are as remembered
{
    virsh dumpxml --inactive "$1" | diff "$work/$1.inactive" - || fail "the inactive XML of $1 changed"
    live_disks "$1" | diff "$work/$1.live" - || fail "the live XML of $1 changed"
    (cd "$images" && find . | sort) | diff "$work/folder" - || fail "files were left in or removed from the folder"
    stat -c "$image_facts" "$images"/* | diff "$work/stat" - || fail "an image was replaced or changed its owner"
}

check_image ()          # NAME FORMAT - the image of a guest that is off: qemu-img check and e2fsck
{
    local file=$images/$1.$2 raw=$images/$1.$2
    if [ "$2" != raw ]; then
        raw=$work/$1.check
        qemu-img check -q -f "$2" "$file" || fail "qemu-img check of $file"
        qemu-img convert -q -f "$2" -O raw "$file" "$raw"
    fi
    e2fsck -fn "$raw?offset=$(cat "$work/$1.offset")" >"$work/e2fsck.log" 2>&1 || { cat "$work/e2fsck.log" >&2; fail "e2fsck of $file"; }
    rm -f "$work/$1.check"
}

stop_guest ()           # NAME - unmount and switch off
{
    guest "$1" "killall writer vmcompact-agent liar qemu-ga 2>/dev/null; sleep 0.3; umount -a -t ext4; sync; ! mount | grep -q ext4" || fail "umount in $1"
    virsh -q destroy "$1"
}

# --- what is refused ----------------------------------------------------------------------------------------------

look_at_files () { find "$images" -type f -printf '%p %b %T@ %s\n' | sort; }

refuse ()               # STATUS TEXT COMMAND... - it must say so in one sentence, and leave guest g and each image as they were
{
    local status=$1 text=$2 files; shift 2
    sync -f "$images" # what the host has yet to allocate is not to look like a change
    files=$(look_at_files)
    say "refused: $text"
    expect_status "$status" "$@"
    expect_text "$work/err" "$text"
    [ "$(wc -l <"$work/err")" = 1 ] || { cat "$work/err" >&2; fail "not one sentence"; }
    look_at_files | diff <(echo "$files") - || fail "an image was touched"
    check_same g
}
