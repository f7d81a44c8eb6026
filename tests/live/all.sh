# A host with ten guests (in the short form five), compacted by cron: silent, one broken guest stops nobody, each by its own wishes, the one with most to give
# back first, nothing that would not end in time.
. "$(dirname "$0")/../bed/bed.sh"

count=$(in_short && echo 5 || echo 10) dirty=80 files=20
guest_memory=128
metadata=urn:vmcompact:domain:1

cron ()                 # STATUS ARGUMENT... - as cron runs it: no terminal, hardly any environment
{
    local wanted=$1; shift
    expect_status "$wanted" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LIBVIRT_DEFAULT_URI="$LIBVIRT_DEFAULT_URI" "$vmcompact" --all "$@"
}
silent () { [ ! -s "$work/out" ] && [ ! -s "$work/err" ] || { cat "$work/out" "$work/err" >&2; fail "it is not silent"; }; }
domains () { python3 -c 'import json, sys; print(*(json.loads(line)["domain"] for line in open(sys.argv[1])))' "$work/out"; }
came_back ()            # NAME - of the noise, what no file took
{
    local back=$((before - $(allocated "$images/$1.qcow2")))
    [ $back -gt $(((dirty - files) * 1048576 / 100 * 75)) ] || fail "of $1 only $back bytes came back"
}
write_and_delete ()     # NAME MIB - that much more is free in the guest and allocated on the host
{
    guest "$1" "dd if=/dev/zero of=/mnt/more bs=1M count=$2 2>/dev/null; sync; rm /mnt/more; sync"
}
nightly ()              # NAME ATTRIBUTES - what the guest's metadata say
{
    virsh -q metadata "$1" --uri $metadata --key vmcompact --set "<nightly $2/>" --live --config >/dev/null
}
no_nightly () { virsh -q metadata "$1" --uri $metadata --key vmcompact --remove --live --config >/dev/null; }

make_image g1 qcow2 160 $dirty $files disk
before=$(allocated "$images/g1.qcow2")
for n in $(seq 2 $count); do cp "$images/g1.qcow2" "$images/g$n.qcow2"; cp "$work/g1.offset" "$work/g$n.offset"; done
for n in $(seq $count); do
    define_guest g$n "$(disk_xml vda "$images/g$n.qcow2")"
    start_guest g$n
    guest g$n "mount /dev/vda /mnt"
    [ $n = 4 ] || start_agent g$n
done
for n in $(seq $count); do remember g$n; done

say "one guest has no agent: the others are done, one sentence, the exit status of the worst"
cron 3 --min-reclaim=8M
[ ! -s "$work/out" ] || fail "something on the standard output"
[ "$(wc -l <"$work/err")" = 1 ] || { cat "$work/err" >&2; fail "not one sentence"; }
expect_text "$work/err" "^vmcompact: g4 (vda): no agent"
for n in $(seq $count); do [ $n = 4 ] || came_back g$n; done
[ $((before - $(allocated "$images/g4.qcow2"))) -lt 4194304 ] || fail "the broken one was touched"

say "it is left out: by a pattern, by its own metadata; then nothing is wrong"
start_agent g4
cron 0 --exclude='g?'
silent
nightly g4 "skip='yes'"
cron 0 --min-reclaim=8M
silent
[ $((before - $(allocated "$images/g4.qcow2"))) -lt 4194304 ] || fail "it was not left out"
no_nightly g4
remember g4 # an empty <metadata> stays

say "all: silent, exit status 0, and each one's space is back"
mkdir "$work/metrics"
printf 'min-reclaim = 8M\nmetrics-dir = %s\n' "$work/metrics" >"$work/conf"
cron 0 --config="$work/conf"
silent
for n in $(seq $count); do came_back g$n; check_same g$n; done
[ "$(grep -c '^vmcompact_success{.*} 1$' "$work/metrics/vmcompact.prom")" = $count ] || fail "the metrics do not know ten that went well"
expect_text "$work/metrics/vmcompact.prom" '^vmcompact_all_exit_status 0$'

guests="g2 g3 g5"
for n in $(seq $count); do
    case $guests in *g$n*) continue ;; esac
    check_files g$n /mnt; virsh -q destroy g$n; virsh -q undefine g$n; rm "$images/g$n.qcow2"
done
for name in $guests; do remember $name; done

say "the one with most to give back first, two at a time if that is asked for"
write_and_delete g2 50; write_and_delete g3 20; write_and_delete g5 80
cron 0 --json --min-reclaim=5M
[ "$(domains)" = "g5 g2 g3" ] || fail "the order was: $(domains)"
write_and_delete g2 50; write_and_delete g5 80
cron 0 --json --min-reclaim=5M --jobs=2
[ "$(domains | wc -w)" = 3 ] || fail "not each has its line"

say "the guest's own method, and what makes no sense there"
write_and_delete g2 50
nightly g2 "method='convert' min-reclaim='1M'"
nightly g3 "method='shred'"
cron 2 --json
expect_text "$work/err" "^vmcompact: g3: its metadata of $metadata: method cannot be 'shred'"
grep '"domain":"g2"' "$work/out" | grep -q '"method":"convert"' || fail "it was not converted"
no_nightly g2; no_nightly g3

say "nothing is begun that will not have ended in time: a run takes what runs took, an unknown one a minute and more"
rm "/var/lib/vmcompact/history/$(virsh domuuid g5).json"
[ "$(date +%-S)" -lt 30 ] || sleep $((61 - $(date +%-S))) # --until knows minutes: half of one, or more, shall be left
cron 0 -v --until="$(date -d '+60 seconds' +%H:%M)"
grep -A1 '^g5$' "$work/out" | grep -q "would not have ended in time" || { cat "$work/out" >&2; fail "g5 was begun"; }
grep -q "2 done, 0 failed, 1 left for another time" "$work/out" || { cat "$work/out" >&2; fail "another summary"; }
nightly g5 "from='$(date -d '+3 hours' +%H:%M)' until='$(date -d '+4 hours' +%H:%M)'"
cron 0 -v --until="$(date -d '+2 hours' +%H:%M)"
grep -A1 '^g5$' "$work/out" | grep -q "its own time comes later" || { cat "$work/out" >&2; fail "g5 was begun"; }
no_nightly g5

for name in $guests; do remember $name; done

say "a second one at the same time, and Ctrl-C in the middle: the domain comes home, the rest is not begun"
write_and_delete g2 50; write_and_delete g5 80
mkfifo "$work/steps"
"$vmcompact" --all -v --min-reclaim=5M >"$work/out" 2>"$work/steps" & all=$!
while read -r line; do
    echo "$line" >>"$work/lines"
    case $line in
        *"guard the base")
            expect_status 6 "$vmcompact" --all
            expect_text "$work/err" "another vmcompact --all is at work"
            kill -TERM $all
            touch "$work/told" ;;
    esac
done <"$work/steps"
status=0; wait $all || status=$?
[ -e "$work/told" ] || fail "it never came so far"
[ $status = 1 ] || { cat "$work/lines" >&2; fail "exit status $status"; }
[ "$(grep -c 'interrupted by signal' "$work/lines")" = 2 ] || { cat "$work/lines" >&2; fail "not one sentence for the guest and one for all"; }
[ "$(grep -c 'guard the base' "$work/lines")" = 1 ] || fail "a second guest was begun"
ls /var/lib/vmcompact/*.journal 2>/dev/null && fail "a journal is left"
for name in $guests; do check_same $name; check_files $name /mnt; done
