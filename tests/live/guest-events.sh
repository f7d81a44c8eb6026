# The guest is switched off or reset at each step: the domain comes home, off or on, with all its data.
. "$(dirname "$0")/../bed/bed.sh"
boots_often=yes

make_image g qcow2 160 60 8 mbr
define_guest g "$(disk_xml vda "$images/g.qcow2")"

boot ()
{
    : >"$work/g.console"
    start_guest g
    guest g "mount /dev/vda1 /mnt"
    start_agent g
    start_writers g /mnt 1
    remember g
}

boot
steps=("freeze" "guard the base" "read the base" "give space back" ": commit")
in_short || steps+=("map the image")
for step in "${steps[@]}"; do
    say "switched off at: $step"
    status=0
    "$bed/at-step" "$step" "virsh -q destroy g" -- "$vmcompact" -v --method=commit g >"$work/out" 2>"$work/err" || status=$?
    expect_text "$work/out" "# fired"
    # Once the agent's map is here, a guest that is off does not matter any more.
    [ $status = 1 ] || [ $status = 0 ] || { cat "$work/err" >&2; fail "exit status $status"; }
    virsh dumpxml --inactive g | diff "$work/g.inactive" - || fail "the inactive XML changed"
    (cd "$images" && find . | sort) | diff "$work/folder" - || fail "something is left over"
    qemu-img check -q "$images/g.qcow2" || fail "qemu-img check"
    boot
    check_files g /mnt
done

steps=("freeze" "give space back")
in_short || steps+=("guard the base")
for step in "${steps[@]}"; do
    say "reset at: $step"
    : >"$work/g.console"
    status=0
    "$bed/at-step" "$step" "virsh -q reset g" -- "$vmcompact" -v --method=commit g >"$work/out" 2>"$work/err" || status=$?
    expect_text "$work/out" "# fired"
    [ $status = 1 ] || [ $status = 0 ] || { cat "$work/err" >&2; fail "exit status $status"; }
    check_same g
    virsh -q destroy g
    boot
    check_files g /mnt
done

check_writers g /mnt
stop_guest g
check_image g qcow2
