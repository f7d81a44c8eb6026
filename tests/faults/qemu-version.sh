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

new_guest qcow2 "<emulator>$emulator</emulator>"
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
check_home

say "at the commit's start the guest stands still"
at committing "virsh domstate g >$work/state" "$vmcompact" --method=commit g
expect_end 0
expect_text "$work/state" paused
[ "$(virsh domstate g)" = running ] || fail "the guest is not running"

say "killed while it stands still: it goes on by itself, and comes home"
at committing 'kill -9 $pid' "$vmcompact" --method=commit g
check_writing 6
recover 0
check_home
end_guest
