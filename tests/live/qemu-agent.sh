# A guest that has only qemu-guest-agent: commit, convert and trim with the reader as the only witness; what it is not believed about.
. "$(dirname "$0")/../bed/bed.sh"

guest_programs=$qemu_agent_program more_channel=$qemu_agent_channel
size=400 trim_size=128

make_image g qcow2 $size $size 40 mbr
make_image t raw $trim_size $trim_size 20 disk -b 1024
make_image u raw $trim_size $trim_size 20 disk -b 4096
make_image old raw 64 20 5 disk -O ^metadata_csum
define_guest g "$(disk_xml vda "$images/g.qcow2")" "$(disk_xml vdb "$images/t.raw" "discard='unmap'")" "$(disk_xml vdc "$images/old.raw")" \
    "$(disk_xml vdd "$images/u.raw" "discard='unmap'")"
start_guest g
guest g "mkdir /trim /trim4 /old; mount -o noinit_itable /dev/vda1 /mnt; mount -o noinit_itable /dev/vdb /trim; mount -o noinit_itable /dev/vdd /trim4; mount -o noinit_itable /dev/vdc /old; sync"
remember g

# Of what the filesystem calls free, 97 % are not on the host any more, but for what was written during the run.
check_back ()           # FILE SIZE_MIB DIRECTORY
{
    local free overlay back=$((($2 << 20) - $(allocated "$1")))
    free=$(guest g "set -- \$(stat -f -c '%f %S' $3); echo \$((\$1 * \$2))")
    overlay=$(sed -n 's/.*"peak_overlay_bytes":\([0-9]*\).*/\1/p' "$work/out")
    say "free in the guest: $((free >> 20)) MiB; not on the host: $((back >> 20)) MiB; written meanwhile: $((${overlay:-0} >> 20)) MiB"
    [ $(((back + ${overlay:-0}) * 100)) -ge $((free * 97)) ] || fail "less than 97 % came back"
}

by_qemu_agent ()        # OPTION... - a run on g
{
    say "$*"
    expect_status 0 "$vmcompact" -v --json "$@" g
    expect_text "$work/out" "by qemu-guest-agent"
    cat "$work/out"
}

# --- which agent ------------------------------------------------------------------------------------------------------

refuse 3 "no agent has the channel open.*or start qemu-guest-agent" "$vmcompact" --disk=vda g
start_qemu_agent g
start_agent g
say "our own agent is preferred"
expect_status 0 "$vmcompact" -n g
grep -q qemu-guest-agent "$work/out" && fail "qemu-guest-agent was chosen"
guest g "killall vmcompact-agent; sleep 0.5" >/dev/null

look_at_files () { find "$images" -type f -printf '%p %b %s\n' | sort; } # what is mounted is written to, a little

# --- what is refused --------------------------------------------------------------------------------------------------

refuse 3 "has no metadata_csum" "$vmcompact" --disk=vdc g
refuse 3 "QEMU drops what qemu-guest-agent trims" "$vmcompact" --method=trim --disk=vda g

virsh domfsfreeze g | grep -q "Froze 4" || fail "freeze"
refuse 6 "somebody else has frozen the guest" "$vmcompact" --disk=vda g
virsh domfsthaw g | grep -q "Thawed 4" || fail "somebody's freeze was ended"
guest g "fsfreeze --freeze /mnt"
refuse 3 "not mounted for writing now, or somebody has frozen it" "$vmcompact" --disk=vda g
guest g "fsfreeze --unfreeze /mnt" || fail "somebody's freeze was ended"

# --- commit and convert -----------------------------------------------------------------------------------------------

start_writers g /mnt 2
by_qemu_agent --disk=vda
check_same g
check_back "$images/g.qcow2" $size /mnt
seen "qemu-guest-agent only: ext4 on a partition" "$(outcome), with the reader alone; 97 % or more of what is free came back"

guest g "dd if=/dev/urandom of=/mnt/waste bs=1M count=60 conv=fsync 2>/dev/null; rm /mnt/waste; sync" >/dev/null
by_qemu_agent --method=convert --disk=vda
image_facts='%n %U %G %a'; stat -c "$image_facts" "$images"/* >"$work/stat"
check_same g
check_back "$images/g.qcow2" $size /mnt
check_writers g /mnt
check_files g /mnt

# --- trim -------------------------------------------------------------------------------------------------------------

free_range ()           # FILE - the largest free range of the ext4 in a raw image: "first count", in whole MiB
{
    dumpe2fs "$1" 2>/dev/null | python3 -c 'import re, sys
text = sys.stdin.read()
size = int(re.search(r"Block size: +(\d+)", text).group(1))
merged = []
for part in re.findall(r"\d+(?:-\d+)?", " ".join(re.findall(r"  Free blocks: ([\d, -]+)", text))):
    first, last = (int(part.split("-")[i]) for i in (0, -1))
    if merged and merged[-1][1] + 1 == first:
        merged[-1][1] = last
    else:
        merged.append([first, last])
first, last = max(merged, key=lambda one: one[1] - one[0])
first, end = -(-first * size >> 20), (last + 1) * size >> 20
print(first, end - first)'
}

by_qemu_agent --disk=vdb --disk=vdd # one request is for all disks
expect_text "$work/out" "a trim is enough; by qemu-guest-agent"
seen "qemu-guest-agent only: ext4, discard='unmap'" "$(outcome)"
for disk in t:vdb:/trim u:vdd:/trim4; do
    IFS=: read -r name target directory <<<"$disk"
    file=$images/$name.raw
    check_back "$file" $trim_size "$directory"
    # As if the first trim had been dropped: what it has trimmed takes space again, and ext4 does not know.
    read -r first count <<<"$(free_range "$file")"
    [ "$count" -ge 40 ] || fail "only $count MiB are free in one piece"
    guest g "dd if=/dev/vda of=/dev/$target bs=1M seek=$first count=$count conv=fsync 2>/dev/null" >/dev/null
    sync -f "$images"
    taken=$(allocated "$file")
    virsh -q domfstrim g
    [ "$(allocated "$file")" -gt $((taken - 1048576)) ] || fail "ext4 trims what it has trimmed before, so this proves nothing"
    by_qemu_agent --method=trim --disk=$target
    expect_text "$work/err" "trim again"
    check_back "$file" $trim_size "$directory"
    check_files g "$directory"
done

check_same g
stop_guest g
check_image g qcow2
check_image t raw
check_image u raw
