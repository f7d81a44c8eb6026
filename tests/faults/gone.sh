# Somebody else saves, destroys, undefines, renames or edits the domain in the middle of a run. The domain comes home, or it is
# said in one sentence what is to be done before --recover brings it home. Nothing is lost, and no change of theirs is undone.
. "$(dirname "$0")/faults.sh"
boots_often=yes

new_guest
run="$vmcompact --method=commit g"
base=$images/g.qcow2 overlay=$images/g.qcow2.vmcompact-overlay

save_xml="virsh dumpxml --inactive g >\$work/saved.xml"
edit () { echo "virsh dumpxml --inactive g >\$work/edit.xml; sed -i 's,$1,$2,' \$work/edit.xml; virsh define \$work/edit.xml"; }

# --- switched off, saved, gone ------------------------------------------------------------------------------------

off ()                  # boot what is off and home
{
    check_nothing_left
    virsh dumpxml --inactive g | diff "$work/g.inactive" - || fail "the inactive XML changed"
    [ ! -e "$overlay" ] || fail "the overlay is still there"
    boot_guest
    check_home
}

for point in guarded $(in_long redirected punch); do
    while_at $point "virsh managedsave g" 5 "not simply switched off"
    [ -e "$overlay" ] || fail "the overlay is gone"
    recover 5 "start it, then run"
    virsh -q start g
    recover 0
    check_home
done
while_at committing "! virsh managedsave g" 0
check_home; check_data

for point in redirected committing; do
    while_at $point "$save_xml; virsh destroy g; virsh undefine g" 5 "no longer known here"
    recover 5 "no longer known here"
    virsh -q define "$work/saved.xml"
    recover 0
    off
done

while_at guarded "virsh destroy g; virsh undefine g" 5 "no longer known here"
virsh -q define "$work/g.inactive"      # an old copy: it names the base
recover 5 "not us who committed"
qemu-img commit -q -f qcow2 "$overlay"
rm "$overlay"
recover 0
off

while_at guarded "virsh destroy g; virsh domrename g other" 1 "switched off"
check_nothing_left
virsh domrename other g >/dev/null
off

# --- resized ------------------------------------------------------------------------------------------------------

can_write_all ()        # of the disk: what is new at its end, too
{
    guest g "dd if=/dev/zero of=/dev/vda bs=1M seek=$(($1 - 1)) count=1 conv=fsync,notrunc 2>/dev/null" || fail "the guest cannot write to the end of its disk"
}

while_at prepared "virsh blockresize g vda 170M" 1 "has changed the size of the disk"
can_write_all 170
check_home
while_at redirect "virsh blockresize g vda 180M" 1 # just when the overlay takes over: the freeze does not hold, or the reader finds it
can_write_all 180
check_home
while_at punch "virsh blockresize g vda 190M" 0 # the commit makes the base as large
can_write_all 190
check_home; check_data

# --- edited -------------------------------------------------------------------------------------------------------

while_at guarded "$(edit ">262144</memory>" ">300000</memory>")" 1 "XML of the domain"
virsh dumpxml --inactive g | grep -q "<memory unit='KiB'>300000<" || fail "somebody's change is lost"
virsh -q define "$work/g.inactive"
check_home
while_at guarded "virsh define \$work/g.inactive" 0 # an old copy: it names the base
check_home
while_at guarded "$(edit "$base[a-z.-]*" "$images/other.qcow2")" 1 "XML of the domain"
virsh -q define "$work/g.inactive"
check_home
while_at guarded "$save_xml; $(edit "$base[a-z.-]*" "$images/other.qcow2"); virsh destroy g" 5 "somebody has changed the disk"
[ -e "$overlay" ] || fail "the overlay is gone"
recover 5 "somebody has changed the disk"
virsh -q define "$work/saved.xml"
recover 0
off

check_data
[ "${checked_synced:-0}" -gt 0 ] || fail "the writers synced too little to prove anything"
end_guest
