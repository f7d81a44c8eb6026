# The whole Debian guest of whole-guest (in $VMC_WHOLE_GUEST), started as "g": udev and systemd in it start the agent of the package, when
# the host has given it the channel (sourced by night.sh)

say "a whole Debian guest, made from the template"
qemu-img convert -q -S 0 -f raw -O qcow2 "$VMC_WHOLE_GUEST/disk.raw" "$images/g.qcow2"
mkdir "$work/guest"
cp "$VMC_WHOLE_GUEST/kernel" "$work/guest/kernel"
cp "$VMC_WHOLE_GUEST/initrd" "$work/guest/initramfs"
guest_memory=512
VMC_CHANNEL=org.example.none.0 define_guest g "$(disk_xml vda "$images/g.qcow2")"
virsh dumpxml --inactive g | sed 's/console=ttyS0 quiet/root=\/dev\/vda rw &/' >"$work/g.whole.xml"
virsh -q define "$work/g.whole.xml"
chmod 711 "$work"; : >"$work/g.console"; chmod 666 "$work/g.console"
virsh -q start g
guest_timeout=300
guest g true || { tail -n 20 "$work/g.console" >&2; fail "the guest does not come up"; }
[ "$(guest g 'systemctl is-active vmcompact-agent.service')" = inactive ] || fail "the agent runs without a channel"
say "it is up; the channel starts the agent"
virsh -q attach-device g /usr/share/vmcompact/channel.xml --live --config
await_channel g org.vmcompact.agent.0
[ "$(guest g 'systemctl is-active vmcompact-agent.service')" = active ] || fail "systemd has not started it"
guest g "cat /proc/\$(pidof vmcompact-agent)/cgroup" | grep -q vmcompact-agent.service || fail "it is not that of the unit"
check_guest () { guest_timeout=300 guest g "echo 3 >/proc/sys/vm/drop_caches; cd /srv/files && md5sum -c --quiet SUMS" || fail "a file of the guest is damaged"; }
guest_waste () { guest g "dd if=/dev/zero of=/srv/more bs=1M count=60 2>/dev/null; sync; rm /srv/more; sync"; }
