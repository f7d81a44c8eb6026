# libvirtd dies when QEMU has opened the overlay, or has redirected the disk, but before libvirt has noted it: its XML names the
# base, QEMU writes to the overlay. Or the other way round, at the pivot. Nothing of what the guest writes may be lost.
. "$(dirname "$0")/faults.sh"
boots_often=yes

writers=1
new_guest

cat >"$work/snipe" <<'PY'
#!/usr/bin/env python3
"""snipe BASE MOMENT MARK - kill libvirtd when QEMU has opened the overlay ("opened"), does not write to BASE any more
("redirected"), does so again ("committing"), or does not write to the overlay any more ("forgotten"); MARK is made when that happened"""
import fcntl, os, signal, struct, sys, time
base, overlay = [os.open(sys.argv[1] + end, os.O_RDONLY) for end in ("", ".vmcompact-overlay")]
def written(fd):
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 101, 1, 0)
    return struct.unpack("hhqqi4x", fcntl.fcntl(fd, 36, lock))[0] != fcntl.F_UNLCK     # 36: F_OFD_GETLK
pid = int(open("/run/libvirtd.pid").read())
os.nice(-20)    # the moment is a short one, and the machine may be busy
here = {"opened": lambda: written(overlay), "redirected": lambda: written(overlay) and not written(base),
        "committing": lambda: written(overlay) and written(base), "forgotten": lambda: written(base) and not written(overlay)}
open(sys.argv[3] + ".ready", "w").close()
until = time.monotonic() + 10
while time.monotonic() < until:
    if here[sys.argv[2]]():
        os.kill(pid, signal.SIGKILL)
        open(sys.argv[3], "w").close()
        break
time.sleep(0.3)
os.nice(20)
os.execvp("libvirtd", ["libvirtd", "-d"])
PY
chmod +x "$work/snipe"

unnoticed=0 lost_track=0 forgotten=0 orphans=0 round=0 rounds=${ROUNDS:-4}
while [ $round -lt "$rounds" ] || { [ $unnoticed = 0 ] && [ $round -lt $((rounds * 5)) ]; }; do
    round=$((round + 1))
    moment=redirected point=redirect
    # libvirt is quick, and may have noted it: then once more
    [ $round -gt "$rounds" ] || case $((round % 4)) in 0) moment=opened ;; 2) moment=forgotten point=pivot ;; 3) moment=committing point=commit ;; esac
    rm -f "$work/sniped" "$work/sniped.ready"
    at $point "$work/snipe $images/g.qcow2 $moment $work/sniped </dev/null >/dev/null 2>&1 & until [ -e $work/sniped.ready ]; do sleep 0.05; done" \
        "$vmcompact" -v --method=commit g
    [ -e "$work/sniped" ] || { cat "$work/err" >&2; fail "libvirtd was not killed"; }
    wait_until 10 virsh -q list >/dev/null 2>&1 || fail "libvirtd does not come back"
    say "round $round, $moment: exit status $status: $(tail -n 1 "$work/err")"
    grep -q "libvirt does not know of" "$work/err" && unnoticed=$((unnoticed + 1))
    guest g "echo round $round >/mnt/after && sync" || fail "the guest does not write"
    home_when_off=yes
    case $(cat "$work/err") in
        *"lost track"*) lost_track=$((lost_track + 1)); virsh -q destroy g ;;
        *"before it had noted that"*) forgotten=$((forgotten + 1)); virsh -q destroy g ;;
        *"libvirt says that the domain is off"*) # libvirt has lost it: nobody else can end it
            orphans=$((orphans + 1))
            kill -9 "$(cat /run/libvirt/qemu/g.pid)"
            forget_owners ;;
        *) home_when_off=no ;;
    esac
    [ $home_when_off = no ] || say "libvirt does not know what QEMU does: home when the guest is off"
    expect_status 0 "$vmcompact" --recover g
    [ "$(virsh domstate g)" = "shut off" ] || { check_same g; virsh -q destroy g; }
    virsh dumpxml --inactive g | diff "$work/g.inactive" - || fail "the inactive XML changed"
    [ ! -e "$images/g.qcow2.vmcompact-overlay" ] || fail "the overlay is left"
    check_nothing_left
    up_guest
    guest g "grep -q 'round $round' /mnt/after" || fail "a synced file of the guest is lost"
    check_data
done
[ "$unnoticed" -gt 0 ] || fail "libvirt noted it each time: the case did not occur"
say "of $round times, libvirt had not noted it $unnoticed times, lost track of a job $lost_track times, forgotten the pivot $forgotten times, and lost the domain $orphans times"
end_guest
