# What a killed run leaves, and what may happen to the domain before somebody runs vmcompact --recover.
. "$(dirname "$0")/faults.sh"
boots_often=yes

overlay=$images/g.qcow2.vmcompact-overlay
mounts="mkdir -p /h; mount /dev/vda1 /mnt && mount /dev/vdb /h"
writers=0       # nothing is to change between two looks
n=0

killed_at ()            # POINT [OPTION...] - a run that dies there
{
    local point=$1; shift
    at "$point" 'kill -9 $pid' "$vmcompact" --method=commit "$@" g
    n=$((n + 1))
    guest g "echo $n >/mnt/after && sync" || fail "the guest does not write after a kill at $point"
}

home ()                 # all is as before, and what the guest wrote after the kill is there
{
    virsh dumpxml --inactive g | diff "$work/g.inactive" - || fail "the inactive XML changed"
    (cd "$images" && find . | sort) | diff "$work/folder" - || fail "something is left"
    [ -z "$(ls $state | grep -v "^history$")" ] || fail "a journal is left"
    if [ "$(virsh domstate g)" = running ]; then live_disks g | diff "$work/g.live" - || fail "the live XML changed"; else boot_guest; fi
    guest g "[ \$(cat /mnt/after) = $n ]" || fail "what the guest wrote last is lost"
    check_files g /mnt
}

recovers () { expect_status 0 "$vmcompact" --recover "$@"; home; }

sums () { find "$images" $state -type f -exec md5sum {} + | sort; }

left_alone ()           # TEXT COMMAND... - exit status 5, one sentence, nothing changed
{
    local text=$1 before; shift
    before=$(sums)
    expect_status 5 "$@"
    expect_text "$work/err" "$text"
    [ "$(wc -l <"$work/err")" = 1 ] || { cat "$work/err" >&2; fail "not one sentence"; }
    [ "$(sums)" = "$before" ] || [ "$(virsh domstate g 2>/dev/null)" = running ] || fail "something was changed"
}

make_image h raw 128 60 5 disk
new_guest qcow2 "$(disk_xml vdb "$images/h.raw")"

say "nothing to recover: nothing is touched, at once"
touch "$work/stamp"
began=$(date +%s%3N)
expect_status 0 "$vmcompact" --recover
expect_status 0 "$vmcompact" --recover g
took=$(( ($(date +%s%3N) - began) / 2 ))
say "took $took ms"
[ ! -s "$work/out" ] && [ ! -s "$work/err" ] || fail "it printed something"
[ -z "$(find $state /etc/libvirt/qemu -newer "$work/stamp")" ] || fail "something was touched"
check_same g
expect_status 2 "$vmcompact" --recover nobody

say "the next run does it by itself; a dry run says that there is something"
killed_at redirected
left_alone "run vmcompact --recover first" "$vmcompact" -n g
expect_status 0 "$vmcompact" --method=commit g
home

say "killed; then the guest is switched off"
killed_at thawed
virsh -q destroy g
recovers

say "killed; then the guest is switched off and started, on the overlay"
killed_at guarded
virsh -q destroy g; boot_guest
guest g "[ \$(cat /mnt/after) = $n ]" || fail "the chain of the persistent XML is not complete"
recovers

say "killed while the commit is at work; then somebody ends the block job"
killed_at committing
recovers g
killed_at committing
virsh -q blockjob g vda --abort
recovers g

say "the recovery itself is killed, at each of its points"
killed_at redirected
VMC_FAULT_LOG=$work/points "$vmcompact" --recover
for point in $(awk -v every="$(in_short && echo 3 || echo 1)" '!seen[$0]++ && n++ % every == 0' "$work/points"); do
    killed_at redirected
    at "$point" 'kill -9 $pid' "$vmcompact" --recover
    guest g "sync" || fail "the guest does not write after a kill at $point of the recovery"
    recovers
done
for point in commit-offline removed $(in_long committed-offline define remove home); do
    killed_at redirected
    virsh -q destroy g
    at "$point" 'kill -9 $pid' "$vmcompact" --recover
    recovers
done

say "run and keeper are killed while the guest is paused: the next run resumes it"
at paused 'pkill -9 -f "[k]eeper-child"; kill -9 $pid' "$vmcompact" --method=commit g
sleep 0.5
[ "$(virsh domstate g)" = paused ] || fail "the guest is not paused, so this proves nothing"
expect_status 0 "$vmcompact" --recover
guest g "echo $n >/mnt/after; sync" || fail "the guest is still paused"
home

say "the pivot is done, but libvirt's note of it is lost: the base is newer, the overlay must not be committed"
for started in no yes; do
    at redirected "virsh dumpxml --inactive g >$work/stale.xml" "$vmcompact" --method=commit g
    expect_end 0
    killed_at remove
    virsh -q destroy g
    virsh -q define "$work/stale.xml"
    if [ $started = yes ]; then
        cp "$images/g.qcow2" "$work/newest"
        boot_guest
        left_alone "had been moved" "$vmcompact" --recover
        virsh -q destroy g
        cp "$work/newest" "$images/g.qcow2"
    fi
    recovers
done

say "the journal is lost: a running domain is brought home, one that is off is left alone"
killed_at punch
rm $state/*.journal
recovers g
killed_at punch
rm $state/*.journal; virsh -q destroy g
left_alone "no journal that tells" "$vmcompact" --recover
boot_guest
recovers

say "the journal is damaged: nothing is done"
killed_at punch
uuid=$(virsh domuuid g | head -n 1)
cp "$state/$uuid.journal" "$work/journal"; echo '{' >"$state/$uuid.journal"
left_alone "is damaged" "$vmcompact" --recover
cp "$work/journal" "$state/$uuid.journal"
recovers

say "renamed"
killed_at punch
virsh -q destroy g; virsh -q domrename g g2
expect_status 0 "$vmcompact" --recover g2
virsh -q domrename g2 g
home

say "undefined, and defined again"
killed_at punch
virsh -q destroy g
virsh dumpxml --inactive g >"$work/away.xml"; virsh -q undefine g
left_alone "no longer known here" "$vmcompact" --recover
left_alone "no longer known here" "$vmcompact" --recover g
virsh -q define "$work/away.xml"
recovers

say "somebody has given the disk another file"
killed_at punch
virsh -q destroy g
virsh dumpxml --inactive g >"$work/away.xml"
sed "s,$overlay,$images/h.raw.other," "$work/away.xml" >"$work/edited.xml"
virsh -q define "$work/edited.xml"
left_alone "somebody has changed the disk" "$vmcompact" --recover
virsh -q define "$work/away.xml"
recovers

say "a copy of the base lies under its name: a backup, say"
killed_at punch
virsh -q destroy g
mv "$images/g.qcow2" "$work/the-base"; cp "$work/the-base" "$images/g.qcow2"
left_alone "not the file that the overlay" "$vmcompact" --recover
boot_guest
left_alone "not the file that the overlay" "$vmcompact" --recover
virsh -q destroy g
mv "$work/the-base" "$images/g.qcow2"
recovers

say "off, on a filesystem that keeps locks to itself: it could be running on another host"
killed_at punch
virsh -q destroy g
bindfs "$images" "$images"
left_alone "committed only while the domain runs here.*locks may be seen by this host only" "$vmcompact" --recover
umount "$images"
recovers

say "saved: its memory goes with the overlay"
killed_at punch
virsh -q managedsave g
left_alone "not simply switched off" "$vmcompact" --recover
virsh -q start g
recovers

say "the overlay in a directory of its own; the journal lost"
mkdir "$work/overlays"; chmod 755 "$work/overlays"
killed_at punch --overlay-dir="$work/overlays"
rm $state/*.journal
recovers
[ -z "$(ls "$work/overlays")" ] || fail "the overlay is left"

say "two disks, one done"
killed_at punch --disk=vda
recovers
vda=$(allocated "$images/g.qcow2")
expect_status 0 "$vmcompact" --method=commit --disk=vda g
killed_at punch --disk=vdb
recovers
[ "$(allocated "$images/g.qcow2")" -le "$vda" ] || fail "the disk that was done grew"
check_files g /mnt; check_files g /h

stop_guest g
check_image g qcow2
check_image h raw
