# A QEMU that loses what is written while a commit starts: the guest is paused for that moment, and only then.
#
# The QEMU here is the machine's own, in which only the version that it reports is another one.
. "$(dirname "$0")/faults.sh"

mkdir -p "$work/usr/bin"
ln -s /usr/lib /usr/share "$work/usr/" # it looks for its modules and firmware beside itself
emulator=$work/usr/bin/qemu-system-x86_64
python3 - "$emulator" <<'PY' || fail "cannot make a QEMU that reports version 8.2.2"
import re, subprocess, sys
program = "/usr/bin/qemu-system-x86_64"
version = re.search(r"version (\d+\.\d+\.\d+)", subprocess.check_output([program, "--version"], text=True)).group(1)
other = "8.2." + "2".zfill(len(version) - 4)
data = open(program, "rb").read().replace(version.encode(), other.encode())
open(sys.argv[1], "wb").write(data)
PY
chmod 755 "$emulator"
"$emulator" --version | grep -q 'version 8[.]2[.]0*2' || fail "the version was not changed"

make_image g qcow2 256 100 20 mbr
define_guest g "<emulator>$emulator</emulator>" "$(disk_xml vda "$images/g.qcow2")"
start_guest g
guest g "mount /dev/vda1 /mnt"
start_agent g
start_writers g /mnt 2
remember g

say "the plan says it"
expect_status 0 "$vmcompact" -n --method=commit g
expect_text "$work/out" "QEMU 8.2.2 may lose writes while a commit starts, so the guest is paused for that moment"
expect_status 0 "$vmcompact" --json --method=commit g
expect_text "$work/out" '"reason":"asked for; QEMU 8.2.2 may lose writes'

say "paused before the commit, resumed after its start, and once more for the pivot"
expect_status 0 env VMC_FAULT_LOG="$work/points" "$vmcompact" -v --method=commit g
expect_text "$work/err" "the guest paused at its start"
order=$(grep -xE 'pause|paused|commit|committing|resume|resumed|pivot|pivoted|moved' "$work/points" | tr '\n' ' ')
[ "$order" = "pause paused commit committing resume resumed pause paused pivot pivoted moved resume resumed " ] || fail "the order was: $order"
check_same g

say "at the commit's start the guest stands still"
at_point committing "virsh domstate g >$work/state" "$vmcompact" --method=commit g || fail "a run: $(cat "$work/err")"
expect_text "$work/state" paused
[ "$(virsh domstate g)" = running ] || fail "the guest is not running"

say "killed while it stands still: it goes on by itself, and comes home"
at_point committing 'kill -9 $PID' "$vmcompact" --method=commit g && fail "not killed"
guest_timeout=6 guest g "echo >/mnt/alive && sync" || fail "the guest stands still"
expect_status 0 "$vmcompact" --recover
check_same g
check_writers g /mnt
check_files g /mnt
stop_guest g
check_image g qcow2
