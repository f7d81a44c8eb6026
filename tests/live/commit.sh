# The main job: commit with two writers in the guest, on qcow2 and raw, with discard at its default and at unmap.
. "$(dirname "$0")/../bed/bed.sh"

reclaim ()              # NAME FORMAT DRIVER_ATTRIBUTES LAYOUT TARGET [SIZE_MIB DIRTY_MIB FILES_MIB]
{
    local image=$images/$1.$2 device=/dev/$5 size=${6:-512} dirty=${7:-250} files=${8:-50} before after
    case $4 in mbr | gpt) device=${device}1 ;; esac
    say "$2, $4 on $5, driver attributes: ${3:-none}"
    make_image "$1" "$2" "$size" "$dirty" "$files" "$4"
    define_guest "$1" "$(disk_xml "$5" "$image" "$3")"
    start_guest "$1"
    guest "$1" "mount $device /mnt"
    start_agent "$1"
    start_writers "$1" /mnt 2
    remember "$1"
    before=$(allocated "$image")
    expect_status 0 "$vmcompact" --method=commit --json "$1"
    after=$(allocated "$image")
    cat "$work/out"
    # Of the noise, what no file and no table took is free and allocated.
    [ $((before - after)) -gt $(((dirty - files) * 1048576 / 100 * 80)) ] || fail "only $((before - after)) bytes came back"
    # Of what agent and reader found reclaimable, 98 %: the rest is what the commit wrote and the edges of blocks.
    python3 - "$work/out" $((before - after)) <<'PY' || fail "less than 98 % of the reclaimable bytes came back"
import json, sys
disk = json.load(open(sys.argv[1]))["disks"][0]
assert disk["reclaimed_bytes"] <= int(sys.argv[2]) + (8 << 20)
sys.exit(int(sys.argv[2]) + disk["peak_overlay_bytes"] < 0.98 * disk["reclaimable_bytes"])
PY
    [ "$2 $3 $4" != "qcow2  mbr" ] || [ -n "${6:-}" ] || seen "ext4 on a partition" "$(outcome); 97 % or more of what is free came back"
    check_same "$1"
    check_writers "$1" /mnt
    check_files "$1" /mnt
    stop_guest "$1"
    check_image "$1" "$2"
    virsh -q undefine "$1"
    rm "$image"
}

case $(basename "$0" .sh) in
    commit-large)
        reclaim g qcow2 "" mbr vda 8192 3481 400
        in_short || reclaim h raw "" mbr vda 8192 3481 400 ;;
    commit-raw) reclaim g raw "" mbr vda ;;
    commit-gpt) reclaim g qcow2 "cache='none'" gpt sda ;;
    commit-unmap) reclaim g qcow2 "discard='unmap'" disk vda ;;
    *) reclaim g qcow2 "" mbr vda ;;
esac
