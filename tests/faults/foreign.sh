# Somebody else is at work on the disk or on the guest in the middle of a run: takes a snapshot, commits, ends our job, pauses,
# freezes, thaws. The run stops before its next step and the domain comes home, or it is said in one sentence what is in the
# way. Nothing is lost, and what somebody else has done is not undone.
. "$(dirname "$0")/faults.sh"

new_guest
run="$vmcompact --method=commit g"
base=$images/g.qcow2 overlay=$images/g.qcow2.vmcompact-overlay

snapshot="virsh snapshot-create-as g --disk-only --no-metadata --atomic --diskspec vda,file=$images/foreign.qcow2"
in_guest="$bed/guest-exec $work/g.shell 20"

# --- snapshots and block jobs by hand -----------------------------------------------------------------------------

for point in redirected punch $(in_long thawed guarded); do
    why="somebody else"; [ $point != punch ] || why="XML of the domain" # with the guard, the base is still at rest
    while_at $point "$snapshot" 1 "$why"
    [ ! -e "$overlay" ] || fail "the overlay is still there"
    virsh domblklist g | grep -q foreign.qcow2 || fail "somebody's snapshot is gone"
    check_nothing_left
    virsh -q blockcommit g vda --active --pivot >/dev/null
    rm "$images/foreign.qcow2"
    check_home
done
while_at committing "! $snapshot" 0
check_home; check_data

say "from below a snapshot, our own commit may take longer than somebody else's job"
write="dd if=/dev/urandom of=/mnt/long bs=64k count=96 conv=fsync"
at thawed "$in_guest '$write; rm /mnt/long'; $snapshot" env VMC_FAULT_OTHER_MS=1000 VMC_FAULT_MIB_PER_S=1 $run
took=$(( $(date +%s%3N) - $(date -r "$work/fired" +%s%3N) ))
expect_end 1 "somebody else"
[ ! -e "$overlay" ] || fail "the overlay is still there"
[ $took -gt 3000 ] || fail "the commit took less than $took ms, so this proves nothing"
check_nothing_left
virsh -q blockcommit g vda --active --pivot >/dev/null
rm "$images/foreign.qcow2"
check_home

job="virsh blockcommit g vda --active --shallow --wait --timeout 20"
while_at thawed "$job; sleep 0.3" 3 "open for writing" # ready, not moved: it is taken for ours
check_home
while_at guarded "! $job --pivot" 0     # the guard keeps them out
check_home
while_at thawed "$job --pivot" 5 "not us who committed"
check_writing
recover 5 "not us who committed"
rm "$overlay"
recover 0
check_home
while_at redirected "$job --pivot" 1 "somebody else" # nothing was in the overlay yet
check_home
while_at committing "virsh blockjob g vda --abort" 0
check_home
while_at pivot "virsh blockjob g vda --abort" 0
check_home
while_at pivot "virsh blockjob g vda --pivot" 0
check_home
while_at committing "until virsh blockjob g vda --pivot; do sleep 0.1; done" 5 "not us who committed"
rm "$overlay"
recover 0
check_home; check_data

# --- internal snapshots: they lie in the file that the guest writes to ----------------------------------------------

in_overlay="holds an internal snapshot"
take="virsh snapshot-create-as g s1"

snapshot_stays ()       # OVERLAY - until it is deleted, and the domain stays there
{
    local at=$1
    recover 5 "$in_overlay"
    virsh domblklist g | grep -q "$at$" || fail "the domain is no longer on $at"
    qemu-img snapshot -U -l "$at" | grep -q ' s1 ' || fail "the snapshot is lost"
    virsh -q snapshot-delete g s1
    recover 0
}

while_at prepared "$take" 3 "has internal snapshots" # in the image itself: nothing is punched, and it stays there
check_home
virsh -q snapshot-delete g s1
while_at committing "! $take" 0
check_home
while_at punch "$take" 5 "$in_overlay"
check_writing
snapshot_stays "$overlay"
check_home; check_data

run="$vmcompact --method=convert g"
while_at rewriting "$take" 5 "$in_overlay"
snapshot_stays "$overlay"
check_home
while_at hopped "$take" 5 "$in_overlay"
snapshot_stays "${overlay}2"
stat -c "$image_facts" "$images"/* >"$work/stat" # the new image
check_home
run="$vmcompact --method=commit g"

say "taken when the guest is off"
at punch 'kill -9 $pid' $run
virsh -q destroy g
virsh -q snapshot-create-as g s1
snapshot_stays "$overlay"
check_nothing_left
boot_guest
check_home; check_data

# --- a guest that stands still, frozen or paused --------------------------------------------------------------------

still_paused ()         # as somebody wanted it
{
    [ "$(virsh domstate g --reason)" = "paused (user)" ] || fail "it is $(virsh domstate g --reason)"
    check_same g
    check_nothing_left
    virsh -q resume g
    check_home
}

while_at redirected "virsh suspend g" 1 "cannot thaw the guest"
still_paused
for point in committing $(in_long punch moved); do
    while_at $point "virsh suspend g" 0
    if [ $point = moved ]; then check_home; else still_paused; fi # just then we had paused it ourselves
done

while_at freeze "$in_guest 'fsfreeze --freeze /mnt'" 6 "frozen by somebody else"
guest g "fsfreeze --unfreeze /mnt" || fail "somebody's freeze was ended"
check_home
while_at frozen "$in_guest 'fsfreeze --unfreeze /mnt'" 1 "did not hold"
check_home
while_at thawed "$in_guest 'fsfreeze --freeze /mnt'" 0
guest g "fsfreeze --unfreeze /mnt" || fail "somebody's freeze was ended"
check_home; check_data

end_guest
