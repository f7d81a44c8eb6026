# --status, --doctor, --setup on a guest as it comes: without the channel, then with it.
. "$(dirname "$0")/../bed/bed.sh"
make_image g qcow2 768 400 100 mbr
define_guest g "$(disk_xml vda "$images/g.qcow2")"
start_guest g
guest g "mount /dev/vda1 /mnt"
start_agent g
"$vmcompact" --status || true
"$vmcompact" --status --json
"$vmcompact" --doctor g || true
"$vmcompact" --doctor --json g || true
"$vmcompact" -v --metrics-dir="$work" g || true
cat $work/vmcompact.prom
"$vmcompact" --status
"$vmcompact" --all -v
cat /var/lib/vmcompact/history/*
"$vmcompact" --setup --discard g
"$vmcompact" --min-reclaim=10G -v g
