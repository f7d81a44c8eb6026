#!/usr/bin/env python3
"""The real agent over a UNIX socket, with a real ext4 on a loop device: every request, every way that a freeze ends, and
everything that a host must not be able to do. Needs root; runs in a mount namespace of its own.
"""
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

AGENT = os.path.join(os.environ.get("top_builddir", "."), "vmcompact-agent")
LIBC = ctypes.CDLL(None)
MEDDLE = os.path.abspath(os.path.join(os.environ.get("top_builddir", "."), "tests/agent/meddle.so"))
SIZE_MIB = 64


def sh(command):
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


class Host:
    """A host's end of the channel."""

    def __init__(self, path):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(10)
        for _ in range(100):
            try:
                self.link.connect(path)
                break
            except OSError:
                time.sleep(0.02)
        self.stream = self.link.makefile("rb")
        self.id = 0
        self.notes = []
        self.session = ""

    def raw(self, data):
        self.link.sendall(data)

    def line(self):
        line = self.stream.readline()
        if not line:
            raise EOFError
        return json.loads(line.lstrip(b"\xff"))

    def send(self, method, **params):
        self.id += 1
        message = {"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}
        self.raw(json.dumps(message).encode() + b"\n")
        return self.id

    def wait(self, number):
        while True:
            answer = self.line()
            if answer.get("id") == number:
                return answer
            self.notes.append(answer)

    def ask(self, method, **params):
        answer = self.wait(self.send(method, **params))
        if "error" in answer:
            raise RuntimeError(answer["error"]["data"]["code"] + ": " + answer["error"]["message"])
        return answer["result"]

    def call(self, method, **params):
        return self.ask(method, session=self.session, **params)

    def hello(self):
        result = self.ask("hello", nonce="n", protocol_min=4, protocol_max=4)
        self.session = result["session"]
        return result

    def close(self):
        self.stream.close()
        self.link.close()


class AgentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="vmcompact-agent.")
        cls.image, cls.mount = cls.dir + "/image", cls.dir + "/mnt"
        os.mkdir(cls.mount)
        sh(f"truncate -s {SIZE_MIB}M {cls.image} && mkfs.ext4 -q -F {cls.image}")
        cls.loop = subprocess.run(["losetup", "-f", "--show", cls.image], check=True, capture_output=True,
                                  text=True).stdout.strip()
        sh(f"mount {cls.loop} {cls.mount}")
        number = os.stat(cls.loop).st_rdev
        cls.name = f"{os.major(number)}:{os.minor(number)}"
        sh(f"head -c 5000000 /dev/urandom >{cls.mount}/file && sync")

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["fsfreeze", "-u", cls.mount], check=False, stderr=subprocess.DEVNULL)
        sh(f"umount {cls.mount} && losetup -d {cls.loop} && rm -r {cls.dir}")

    def setUp(self):
        self.path, self.note = self.dir + "/socket", self.dir + "/note"
        self.start()
        self.host = Host(self.path)
        self.host.hello()

    def tearDown(self):
        self.host.close()
        if self.agent.poll() is None:
            self.agent.send_signal(signal.SIGCONT)
            self.agent.terminate()
        self.agent.wait(10)
        self.assertFalse(self.frozen(), "left frozen")
        self.assertFalse(os.path.exists(self.note), "the note was left")

    def start(self, **environment):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.agent = subprocess.Popen([AGENT, "--port=unix:" + self.path, "--note=" + self.note],
                                      env={**os.environ, **environment})

    def freeze(self, deadline_ms=5000, early=()):
        return self.freeze_all([self.name], deadline_ms, early)

    def freeze_all(self, names, deadline_ms=5000, early=(), disk=None):
        return self.host.call("freeze", disk=disk or self.name, filesystems=names, early=list(early), deadline_ms=deadline_ms)

    def frozen(self, mount=None):
        """A write to a frozen filesystem stands still."""
        process = subprocess.Popen(["touch", (mount or self.mount) + "/probe"])
        try:
            process.wait(0.5)
            return False
        except subprocess.TimeoutExpired:
            return True
        finally:
            self.probe = process

    def disk(self, word, options=""):
        """One more ext4, mounted with OPTIONS: its name, its loop device, where it is mounted."""
        image, mount = f"{self.dir}/{word}", f"{self.dir}/{word}.mnt"
        os.mkdir(mount)
        sh(f"truncate -s 64M {image} && mkfs.ext4 -q -F {image}")
        loop = subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
        sh(f"mount {options} {loop} {mount}")
        self.addCleanup(sh, f"fsfreeze -u {mount} 2>/dev/null; umount {mount}; losetup -d {loop} && rmdir {mount} && rm {image}")
        number = os.stat(loop).st_rdev
        return f"{os.major(number)}:{os.minor(number)}", loop, mount

    def why_not_map(self, name):
        return [f for f in self.host.call("filesystems")["filesystems"] if f["filesystem"] == name][0]["why_not_map"]

    def find_error(self, loop):
        with open(f"/sys/fs/ext4/{loop[5:]}/trigger_fs_error", "w", encoding="ascii") as file:
            file.write("a test")

    def assertThaws(self, within_s):
        end = time.monotonic() + within_s
        while self.frozen():
            self.assertLess(time.monotonic(), end, "still frozen")
        self.probe.wait(10)

    def assertRefused(self, code, function, *args, **kwargs):
        with self.assertRaisesRegex(RuntimeError, "^" + code):
            function(*args, **kwargs)

    # --- requests ---

    def test_hello_gives_a_new_session_each_time(self):
        first = self.host.session
        result = self.host.hello()
        self.assertEqual(result["nonce"], "n")
        self.assertNotEqual(result["session"], first)
        self.assertRefused("usage", self.host.ask, "filesystems", session=first)

    def test_hello_refuses_another_protocol(self):
        self.assertRefused("unsupported", self.host.ask, "hello", nonce="n", protocol_min=5, protocol_max=9)

    def test_filesystems_names_ours_with_its_place(self):
        answer = self.host.call("filesystems")
        mine = [f for f in answer["filesystems"] if f["filesystem"] == self.name]
        self.assertEqual(len(mine), 1)
        self.assertEqual((mine[0]["type"], mine[0]["devices"]), ("ext4", [self.name]))
        uuid = subprocess.run(["blkid", "-o", "value", "-s", "UUID", self.loop], capture_output=True, text=True).stdout
        self.assertEqual(mine[0]["uuid"], uuid.strip())
        device = [d for d in answer["devices"] if d["device"] == self.name][0]
        self.assertEqual((device["kind"], device["bytes"], device["below"]), ("disk", SIZE_MIB << 20, []))
        self.assertEqual((device["content"], device["uuid"]), ("ext4", uuid.strip()))

    def test_filesystems_names_every_disk(self):
        disks = [d for d in os.listdir("/sys/block") if os.path.exists(f"/sys/block/{d}/device") and d[:2] != "sr"]
        listed = [d["name"] for d in self.host.call("filesystems")["devices"]]
        self.assertTrue(disks, "this machine has no disk on a bus")
        self.assertEqual([d for d in disks if d not in listed], [])
        self.assertEqual(len(listed), len(set(listed)))

    def test_what_is_hidden_by_another_mount_cannot_be_mapped(self):
        sh(f"mount -t tmpfs over {self.mount}")
        try:
            mine = [f for f in self.host.call("filesystems")["filesystems"] if f["filesystem"] == self.name]
        finally:
            sh(f"umount {self.mount}")
        self.assertIn("something else may be mounted over it", mine[0]["why_not_map"])

    def test_what_is_read_only_cannot_be_mapped(self):
        """FIFREEZE of it does nothing, and what its journal would change has not been changed."""
        name, _, mount = self.disk("read-only", "-o ro,noload")
        self.assertEqual(self.why_not_map(name), "it is mounted read-only")
        sh(f"mount -o remount,bind,rw {mount}")
        self.assertEqual(self.why_not_map(name), "it is mounted read-only")
        self.assertRefused("unsupported.*read-only", self.freeze_all, [name], disk=name)

    def test_a_mount_that_is_read_only_by_itself_can_be_mapped(self):
        sh(f"mount -o remount,bind,ro {self.mount}")
        try:
            self.assertEqual(self.why_not_map(self.name), "")
            self.assertTrue(self.host.call("thaw", token=self.freeze()["token"])["held"])
        finally:
            sh(f"mount -o remount,bind,rw {self.mount}")

    def test_what_has_errors_cannot_be_mapped(self):
        name, loop, _ = self.disk("broken")
        self.assertEqual(self.why_not_map(name), "")
        self.find_error(loop)
        self.assertIn("found errors", self.why_not_map(name))
        self.assertRefused("unsupported.*found errors", self.freeze_all, [name], disk=name)

    def test_a_module_that_keeps_snapshots_ends_the_mapping(self):
        sh("mount -t tmpfs none /sys/module && mkdir /sys/module/blksnap")
        try:
            mine = [f for f in self.host.call("filesystems")["filesystems"] if f["filesystem"] == self.name]
            self.assertRefused("unsupported", self.freeze)
        finally:
            sh("umount /sys/module")
        self.assertIn("'blksnap' can keep a snapshot", mine[0]["why_not_map"])

    def drivers(self, text):
        """Other block drivers than the kernel has."""
        with open(self.dir + "/drivers", "w", encoding="ascii") as file:
            file.write("Character devices:\n  1 mem\n\nBlock devices:\n" + text)
        sh(f"mount --bind {self.dir}/drivers /proc/devices")

    def test_a_block_driver_that_nobody_knows_ends_the_mapping(self):
        self.drivers("  7 loop\n  8 sd\n252 hcp\n259 blkext\n")
        try:
            why = self.why_not_map(self.name)
            self.assertRefused("unsupported.*'hcp'", self.freeze)
        finally:
            sh("umount /proc/devices")
        self.assertIn("the block driver 'hcp' is not one of the kernel's own", why)

    def test_without_the_list_of_drivers_nothing_is_mapped(self):
        sh("mount --bind /dev/null /proc/devices")
        try:
            why = self.why_not_map(self.name)
        finally:
            sh("umount /proc/devices")
        self.assertIn("it is not known which block drivers there are", why)

    def test_a_freeze_of_what_is_not_on_the_disk_is_refused(self):
        self.assertRefused("usage", self.freeze_all, [self.name], disk="9:9")

    def test_map_is_what_the_filesystem_calls_free(self):
        token = self.freeze()["token"]
        self.assertTrue(self.host.call("thaw", token=token)["held"])
        ranges = self.host.call("map", token=token, position=0)["ranges"]
        free = os.statvfs(self.mount)
        self.assertEqual(sum(length for _, length in ranges), free.f_bfree * free.f_frsize)
        self.assertEqual(ranges, sorted(ranges))
        self.assertRefused("usage", self.host.call, "map", token=token, position=len(ranges) + 1)

    def test_what_is_used_after_the_thaw_is_not_free(self):
        sh(f"head -c 2000000 /dev/urandom >{self.mount}/gone && sync")
        gone = os.stat(self.mount + "/gone").st_blocks * 512
        token = self.freeze()["token"]
        self.assertTrue(self.host.call("thaw", token=token)["held"])
        sh(f"rm {self.mount}/gone && head -c 3000000 /dev/urandom >{self.mount}/new && sync")
        try:
            free = os.statvfs(self.mount)
            ranges = self.host.call("map", token=token, position=0)["ranges"]
            # What has become free meanwhile was used then; the new file may lie there.
            self.assertLessEqual(sum(length for _, length in ranges), free.f_bfree * free.f_frsize)
            self.assertGreaterEqual(sum(length for _, length in ranges), free.f_bfree * free.f_frsize - gone)
            self.assertEqual(ranges, self.host.call("map", token=token, position=0)["ranges"])
        finally:
            sh(f"rm {self.mount}/new")

    def test_the_map_of_a_freeze_that_did_not_hold_is_refused(self):
        token = self.freeze()["token"]
        sh(f"fsfreeze -u {self.mount}")
        self.assertFalse(self.host.call("thaw", token=token)["held"])
        self.assertRefused("not-held", self.host.call, "map", token=token, position=0)

    def test_nothing_is_held_open_when_nobody_asks_for_the_map(self):
        self.assertTrue(self.host.call("thaw", token=self.freeze()["token"])["held"])
        self.host.hello()
        sh(f"umount {self.mount} && mount {self.loop} {self.mount}")

    def test_trim_gives_space_back_and_force_sends_it_again(self):
        sh(f"head -c 20000000 /dev/urandom >{self.mount}/big && sync && rm {self.mount}/big && sync")
        before = os.stat(self.image).st_blocks
        self.assertGreater(self.host.call("trim", filesystem=self.name, minimum_bytes=0, force=False)["trimmed_bytes"], 0)
        self.assertGreater(before - os.stat(self.image).st_blocks, 15000000 // 512)
        self.assertEqual(self.host.call("trim", filesystem=self.name, minimum_bytes=0, force=False)["trimmed_bytes"], 0)
        again = self.host.call("trim", filesystem=self.name, minimum_bytes=0, force=True)["trimmed_bytes"]
        self.assertGreater(again, 30000000)

    def test_ping_and_status_answer_during_a_freeze(self):
        self.freeze()
        self.host.ask("ping")
        status = self.host.ask("status")
        self.assertEqual((status["job"], status["frozen"]), ("freeze", True))
        self.assertRefused("busy", self.freeze)
        self.assertRefused("busy", self.host.call, "trim", filesystem=self.name, minimum_bytes=0, force=False)

    # --- how a freeze ends ---

    def test_freeze_holds_until_thaw(self):
        token = self.freeze()["token"]
        self.assertTrue(self.frozen())
        result = self.host.call("thaw", token=token)
        self.assertTrue(result["held"])
        self.assertGreaterEqual(result["frozen_ms"], 400)
        self.probe.wait(5)

    def test_many_freezes_all_hold(self):
        for _ in range(30):
            self.assertTrue(self.host.call("thaw", token=self.freeze()["token"])["held"])

    def test_deadline_thaws_and_is_told(self):
        token = self.freeze(700)["token"]
        self.assertTrue(self.frozen())
        self.assertThaws(1.5)
        self.assertFalse(self.host.call("thaw", token=token)["held"])

    def test_hang_up_thaws(self):
        self.freeze()
        self.assertTrue(self.frozen())
        self.host.close()
        self.assertThaws(1)

    def test_new_session_thaws(self):
        self.freeze()
        self.host.hello()
        self.assertThaws(0.1)

    def test_cancel_thaws(self):
        self.freeze()
        self.assertTrue(self.host.call("cancel")["cancelled"])
        self.assertThaws(0.1)

    def test_sigterm_thaws(self):
        self.freeze()
        self.agent.terminate()
        self.assertEqual(self.agent.wait(5), 0)
        self.assertThaws(0.1)

    def test_killed_agent_is_thawed_by_its_keeper(self):
        self.freeze()
        self.agent.kill()
        self.agent.wait(5)
        self.assertThaws(1)

    def children(self):
        with open(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children", encoding="ascii") as file:
            return file.read().split()

    def keeper(self):
        return int(self.children()[0])

    def state(self, pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]

    def test_killed_keeper_is_thawed_for_by_the_agent(self):
        token = self.freeze()["token"]
        os.kill(self.keeper(), signal.SIGKILL)
        self.assertThaws(1)
        self.assertFalse(self.host.call("thaw", token=token)["held"])

    def test_stuck_keeper_is_thawed_for_after_the_deadline(self):
        self.freeze(500)
        keeper = self.keeper()
        os.kill(keeper, signal.SIGSTOP)
        self.assertTrue(self.frozen())
        self.assertThaws(1.5)

    def test_both_killed_next_agent_thaws(self):
        self.freeze(60000)
        keeper = self.keeper()
        os.kill(keeper, signal.SIGSTOP)
        self.agent.kill()
        self.agent.wait(5)
        os.kill(keeper, signal.SIGKILL)
        self.assertTrue(self.frozen())
        self.host.close()
        self.start()
        self.assertThaws(1)
        end = time.monotonic() + 5
        while os.path.exists(self.note):
            self.assertLess(time.monotonic(), end, "the note was left")

    def stop_in_freeze(self, word="stop-freeze", deadline_ms=1500):
        """A keeper that somebody stops when its FIFREEZE has frozen, before it can say so. Or before it has."""
        self.watch(MEDDLE=word)
        number = self.host.send("freeze", session=self.host.session, disk=self.name, filesystems=[self.name], early=[],
                                deadline_ms=deadline_ms)
        end = time.monotonic() + 10
        while not self.children() or self.state(self.keeper()) != "T":
            self.assertLess(time.monotonic(), end, "the keeper was not stopped, so this proves nothing")
        self.assertEqual(self.frozen(), word == "stop-freeze")
        return number

    def test_a_keeper_that_was_stopped_while_it_froze_thaws(self):
        self.stop_in_freeze()
        self.assertThaws(3)

    def test_a_keeper_that_was_stopped_while_it_froze_thaws_on_hang_up(self):
        self.stop_in_freeze()
        self.host.close()
        self.assertThaws(1)

    def test_what_a_keeper_that_was_let_go_has_frozen_is_thawed_when_it_is_killed(self):
        self.watch(MEDDLE="slow-freeze")
        self.host.send("freeze", session=self.host.session, disk=self.name, filesystems=[self.name], early=[], deadline_ms=60000)
        end = time.monotonic() + 10
        while not self.frozen():
            self.assertLess(time.monotonic(), end, "it was not frozen, so this proves nothing")
        keeper = self.keeper()
        self.host.close()
        self.host = Host(self.path)
        self.host.hello()
        self.assertRefused("busy", self.freeze)
        time.sleep(1)
        self.assertTrue(self.frozen(), "it was thawed before its FIFREEZE came back, so this proves nothing")
        self.assertTrue(os.path.exists(self.note), "the note of a keeper that is at work is gone")
        os.kill(keeper, signal.SIGKILL)
        self.assertThaws(2)
        self.assertRefused("timeout", self.freeze, 1)  # not busy

    def test_what_a_killed_keeper_freezes_yet_is_thawed_by_the_next_agent(self):
        self.stop_in_freeze("stop-first")
        keeper = self.keeper()
        self.agent.kill()
        self.agent.wait(5)
        self.host.close()
        self.start()
        self.host = Host(self.path)
        self.host.hello()
        self.assertRefused("busy", self.freeze)
        self.assertTrue(os.path.exists(self.note), "the note of a keeper that may freeze yet is gone")
        sh(f"fsfreeze -f {self.mount}")  # as its FIFREEZE would have, when it came back
        os.kill(keeper, signal.SIGKILL)
        self.assertThaws(3)
        end = time.monotonic() + 5
        while os.path.exists(self.note):
            self.assertLess(time.monotonic(), end, "the note was left")
        self.host.call("thaw", token=self.freeze()["token"])

    def test_thaw_by_somebody_else_is_noticed(self):
        token = self.freeze()["token"]
        sh(f"fsfreeze -u {self.mount}")
        self.assertFalse(self.host.call("thaw", token=token)["held"])

    def test_freeze_of_somebody_else_stays(self):
        sh(f"fsfreeze -f {self.mount}")
        try:
            self.assertRefused("busy", self.freeze)
            self.host.hello()
            self.host.close()
            self.agent.terminate()
            self.agent.wait(5)
            self.start()
            self.host = Host(self.path)
            self.host.hello()
            self.assertTrue(self.frozen())
        finally:
            sh(f"fsfreeze -u {self.mount}")
            self.probe.wait(5)

    def start_with_note(self, text):
        """An agent that finds the note of one that was killed."""
        self.host.close()
        self.agent.kill()
        self.agent.wait(5)
        with open(self.note, "w", encoding="ascii") as file:
            file.write(text)
        self.start()
        self.host = Host(self.path)
        self.host.hello()

    def assertRecovers(self):
        end = time.monotonic() + 3
        while os.path.exists(self.note):
            self.assertLess(time.monotonic(), end, "the note was left")
            time.sleep(0.02)

    def assertWaits(self):
        """There is something that it cannot thaw yet."""
        self.assertRefused("busy", self.freeze)
        self.assertTrue(os.path.exists(self.note), "the note of what may be frozen is gone")

    def test_what_is_mounted_over_is_thawed_when_it_can_be_reached(self):
        sh(f"fsfreeze -f {self.mount} && mount -t tmpfs over {self.mount}")
        try:
            self.start_with_note(self.name + "\n")
            self.assertWaits()
        finally:
            sh(f"umount {self.mount}")
        self.assertThaws(2)
        self.assertRecovers()
        self.host.call("thaw", token=self.freeze()["token"])

    def test_what_is_mounted_over_is_thawed_by_another_mount_of_it(self):
        sh(f"mkdir {self.dir}/other && mount --bind {self.mount}/lost+found {self.dir}/other")
        self.addCleanup(sh, f"umount {self.dir}/other && rmdir {self.dir}/other")
        sh(f"fsfreeze -f {self.mount} && mount -t tmpfs over {self.mount}")
        try:
            self.start_with_note(self.name + "\n")
            self.assertRecovers()
        finally:
            sh(f"umount {self.mount}")
        self.assertFalse(self.frozen())

    def test_what_was_unmounted_while_it_was_frozen_is_thawed_when_it_is_mounted_again(self):
        name, loop, mount = self.disk("unmounted")
        sh(f"fsfreeze -f {mount} && umount -l {mount}")
        try:
            self.start_with_note(name + "\n")
            self.assertWaits()
        finally:
            sh(f"mount {loop} {mount}")
        self.assertRecovers()
        self.assertFalse(self.frozen(mount))

    def test_what_was_unmounted_and_is_not_frozen_is_not_waited_for(self):
        name, loop, mount = self.disk("gone")
        sh(f"umount {mount}")
        self.start_with_note(f"{name}\n9999:9999\nrubbish\n")
        self.assertFalse(os.path.exists(self.note))
        self.host.call("thaw", token=self.freeze()["token"])
        sh(f"mount {loop} {mount}")

    def test_what_has_been_thawed_is_not_thawed_again_while_another_is_waited_for(self):
        look = self.expedited("1\n")
        name, _, mount = self.disk("covered")
        sh(f"fsfreeze -f {self.mount}; fsfreeze -f {mount} && mount -t tmpfs over {mount}")
        try:
            self.start_with_note(f"{self.name}\n{name}\nrcu_expedited\n")
            self.assertEqual(look(), (True, "0\n"))
            self.assertFalse(self.frozen())
            sh(f"fsfreeze -f {self.mount}; echo 1 >{self.dir}/expedited")
            time.sleep(1.2)
            self.assertTrue(self.frozen())
            self.assertEqual(look()[1], "1\n")
        finally:
            sh(f"fsfreeze -u {self.mount}; umount {mount}")
        self.assertRecovers()
        self.assertFalse(self.frozen(mount))

    def test_the_unit_leaves_a_keeper_that_hangs_alive(self):
        """systemd would kill it when it has waited long enough, and its FIFREEZE would last."""
        with open(os.path.join(os.environ.get("top_srcdir", "."), "packaging/systemd/vmcompact-agent.service.in"),
                  encoding="ascii") as file:
            unit = file.read().splitlines()
        self.assertIn("KillMode=control-group", unit)  # else it would be killed at once, or not waited for
        self.assertIn("SendSIGKILL=no", unit)

    # --- RCU, by a file in the place of the kernel's setting ---

    def expedited(self, text):
        """Put TEXT there; gives what tells whether it was written to since, and what it is now."""
        path = self.dir + "/expedited"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.utime(path, ns=(0, 0))
        sh(f"mount --bind {path} /sys/kernel/rcu_expedited")
        self.addCleanup(sh, "umount /sys/kernel/rcu_expedited")

        def look():
            with open(path, encoding="ascii") as file:
                return os.stat(path).st_mtime_ns != 0, file.read()
        return look

    def test_rcu_is_hurried_and_left_as_it_was(self):
        look = self.expedited("0\n")
        self.freeze()
        self.assertEqual(look(), (True, "0\n"))

    def test_rcu_that_is_in_a_hurry_is_left_alone(self):
        look = self.expedited("1\n")
        self.freeze()
        self.assertEqual(look(), (False, "1\n"))

    def test_next_agent_ends_the_hurry_of_one_that_was_killed(self):
        look = self.expedited("1\n")
        self.host.close()
        self.agent.kill()
        self.agent.wait(5)
        with open(self.note, "w", encoding="ascii") as file:
            file.write(f"{self.name}\nrcu_expedited\n")
        self.start()
        self.host = Host(self.path)
        self.host.hello()
        self.assertEqual(look(), (True, "0\n"))

    # --- mapped before the freeze, or while it lasts ---

    def test_what_cannot_be_mapped_in_time_is_not_frozen(self):
        self.assertRefused("timeout: the guest's kernel takes", self.freeze, deadline_ms=1)
        self.assertFalse(self.frozen())

    def watch(self, told=True, **environment):
        """An agent anew, whose calls are written down from now on."""
        self.log = self.dir + "/log"
        self.host.close()
        self.agent.terminate()
        self.agent.wait(10)
        self.start(LD_PRELOAD=MEDDLE, MEDDLE_LOG=self.log,
                   ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0", **environment)
        self.host = Host(self.path)
        self.host.hello()
        if told:
            self.host.call("filesystems")
        if os.path.exists(self.log):
            os.unlink(self.log)

    def calls(self):
        with open(self.log, encoding="ascii") as file:
            calls = [line.strip() for line in file]
        os.unlink(self.log)
        return [call for call in calls if call in ("fsmap", "freeze")]

    def order(self, name, early, told=True):
        """The calls of the keeper, one after the other, and the map that comes of it."""
        self.watch(told)
        result = self.freeze_all([name], disk=name, early=early)
        token = result["token"]
        self.assertTrue(self.host.call("thaw", token=token)["held"])
        calls = self.calls()
        self.assertEqual(result["early"], [name] if calls[-1] == "freeze" else [])
        self.assertEqual(calls.count("freeze"), 1)
        return calls, self.host.call("map", token=token, position=0)["ranges"]

    def test_early_means_before_the_freeze_and_never_after(self):
        calls, early = self.order(self.name, [self.name])
        self.assertEqual(calls[-1], "freeze")
        self.assertIn("fsmap", calls)
        calls, frozen = self.order(self.name, [])
        self.assertEqual(calls[-1], "fsmap")
        self.assertEqual(early, frozen)

    def test_a_host_that_does_not_know_where_it_lies_gets_the_frozen_map(self):
        calls, _ = self.order(self.name, [self.name], told=False)
        self.assertEqual(calls[-1], "fsmap")

    def test_given_up_while_it_is_mapped_it_is_not_frozen(self):
        for early in [], [self.name]:
            self.watch(MEDDLE="slow-fsmap")
            number = self.host.send("freeze", session=self.host.session, disk=self.name, filesystems=[self.name],
                                    early=early, deadline_ms=5000)
            time.sleep(0.5)
            self.assertTrue(self.host.call("cancel")["cancelled"])
            self.assertIn(number, [note["id"] for note in self.host.notes if "error" in note])
            time.sleep(1)
            self.assertEqual(set(self.calls()), {"fsmap"})

    def start_slow_freeze(self):
        """One whose map takes seconds, before anything is frozen: its number, and the pid of its keeper."""
        self.watch(MEDDLE="slow-fsmap")
        number = self.host.send("freeze", session=self.host.session, disk=self.name, filesystems=[self.name],
                                early=[self.name], deadline_ms=5000)
        time.sleep(0.3)
        return number, self.keeper()

    def test_while_it_is_mapped_pings_are_answered(self):
        number, _ = self.start_slow_freeze()
        self.host.ask("ping")
        status = self.host.ask("status")
        self.assertEqual((status["job"], status["frozen"]), ("freeze", False))
        self.assertEqual(self.host.notes, [], "it was not slow, so this proves nothing")
        self.assertFalse(self.frozen())
        self.host.call("thaw", token=self.host.wait(number)["result"]["token"])

    def test_a_keeper_whose_agent_is_gone_leaves_the_note_of_the_next(self):
        _, keeper = self.start_slow_freeze()
        self.agent.kill()
        self.agent.wait(5)
        with open(self.note, "w", encoding="ascii") as file:
            file.write("of the next\n")
        end = time.monotonic() + 10
        while os.path.exists(f"/proc/{keeper}"):
            self.assertLess(time.monotonic(), end, "the keeper goes on")
            time.sleep(0.02)
        with open(self.note, encoding="ascii") as file:
            self.assertEqual(file.read(), "of the next\n")
        os.unlink(self.note)
        self.assertEqual(set(self.calls()), {"fsmap"})

    def test_a_module_that_is_loaded_meanwhile_breaks_the_freeze(self):
        token = self.freeze()["token"]
        sh("mount -t tmpfs none /sys/module && mkdir /sys/module/blksnap")
        try:
            self.assertFalse(self.host.call("thaw", token=token)["held"])
        finally:
            sh("umount /sys/module")

    def test_a_driver_that_is_loaded_meanwhile_breaks_the_freeze(self):
        token = self.freeze()["token"]
        self.drivers("  7 loop\n252 hcp\n")
        try:
            self.assertFalse(self.host.call("thaw", token=token)["held"])
        finally:
            sh("umount /proc/devices")

    def test_an_error_that_is_found_meanwhile_breaks_the_freeze(self):
        name, loop, _ = self.disk("breaks")
        token = self.freeze_all([name], disk=name)["token"]
        self.find_error(loop)
        self.assertFalse(self.host.call("thaw", token=token)["held"])

    def test_what_becomes_read_only_before_its_freeze_is_not_mapped(self):
        number = self.stop_in_freeze("stop-first", 5000)
        sh(f"mount -o remount,ro {self.mount}")
        try:
            os.kill(self.keeper(), signal.SIGCONT)
            token = self.host.wait(number)["result"]["token"]
            self.assertFalse(self.host.call("thaw", token=token)["held"])
        finally:
            sh(f"mount -o remount,rw {self.mount}")

    def punched(self):
        """A filesystem with 20,000 free ranges, more than the agent's socket has room for: its name."""
        image, mount = self.dir + "/punched", self.dir + "/punched.mnt"
        os.mkdir(mount)
        sh(f"truncate -s 64M {image} && mkfs.ext4 -q -F -b 1024 {image}")
        loop = subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
        sh(f"mount {loop} {mount} && head -c 40M /dev/zero >{mount}/file && sync")
        self.addCleanup(sh, f"umount {mount} && losetup -d {loop} && rmdir {mount} && rm {image}")
        fd = os.open(mount + "/file", os.O_RDWR)
        for block in range(0, 40000, 2):
            if LIBC.fallocate(fd, 3, ctypes.c_long(block * 1024), ctypes.c_long(1024)) != 0:  # punch a hole, keep the size
                self.fail("fallocate")
        os.close(fd)
        number = os.stat(loop).st_rdev
        return f"{os.major(number)}:{os.minor(number)}", mount

    def test_an_agent_that_stands_still_does_not_keep_it_frozen(self):
        name, self.mount = self.punched()
        self.addCleanup(setattr, self, "mount", type(self).mount)
        number = self.host.send("freeze", session=self.host.session, disk=name, filesystems=[name], early=[], deadline_ms=3000)
        end = time.monotonic() + 10
        while not self.children():
            self.assertLess(time.monotonic(), end, "there is no keeper")
        os.kill(self.agent.pid, signal.SIGSTOP)
        while not self.frozen():
            self.assertLess(time.monotonic(), end, "it was not frozen, so this proves nothing")
        self.assertThaws(5)
        os.kill(self.agent.pid, signal.SIGCONT)
        self.assertIn("error", self.host.wait(number), "all of the map found room, so this proves nothing")

    def test_without_checksums_it_is_mapped_while_it_is_frozen(self):
        image, mount = self.dir + "/plain", self.dir + "/plain.mnt"
        os.mkdir(mount)
        sh(f"truncate -s 64M {image} && mkfs.ext4 -q -F -O ^metadata_csum {image}")
        # What an XFS with checksums has left in the block that ext4 does not use.
        sh(f"printf XFSB | dd of={image} conv=notrunc status=none")
        sh(f"printf '\\264\\245' | dd of={image} bs=1 seek=100 conv=notrunc status=none")
        loop = subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
        number = os.stat(loop).st_rdev
        name = f"{os.major(number)}:{os.minor(number)}"
        sh(f"mount {loop} {mount}")
        try:
            calls, _ = self.order(name, [name])
        finally:
            sh(f"umount {mount} && losetup -d {loop} && rmdir {mount} && rm {image}")
        self.assertEqual(calls[-1], "fsmap")

    # --- what a host must not be able to do ---

    def test_requests_without_sense_are_refused(self):
        self.assertRefused("usage", self.freeze_all, [])
        self.assertRefused("usage", self.freeze_all, ["9:9"])
        self.assertRefused("usage", self.freeze_all, [self.name] * 2)
        self.assertRefused("usage", self.freeze, early=["9:9"])
        self.assertRefused("usage", self.freeze, 60001)
        self.assertRefused("usage", self.freeze, 0)
        self.assertRefused("usage", self.host.call, "thaw", token="wrong")
        self.assertRefused("protocol", self.host.call, "ping", extra=1)
        self.assertRefused("unsupported", self.host.call, "reboot")

    def test_rubbish_is_survived(self):
        for rubbish in (b"\n", b"{}\n", b"[[[[[[[[[[[[\n", b"x" * 70000 + b"\n", b"\xff\xff{\n", bytes(range(256)) * 300 + b"\n"):
            self.host.raw(rubbish)
        self.host.raw(b'{"half')
        self.host.raw(b"\xff")
        self.host.ask("ping")

    def test_requests_of_an_earlier_connection_start_nothing(self):
        request = {"jsonrpc": "2.0", "id": 9, "method": "freeze",
                   "params": {"session": self.host.session, "disk": self.name, "filesystems": [self.name], "early": [],
                              "deadline_ms": 60000}}
        self.host.close()
        self.host = Host(self.path)
        self.host.raw(json.dumps(request).encode() + b"\n")
        self.assertIn("error", self.host.wait(9))
        self.assertFalse(self.frozen())
        self.host.hello()

    def test_hosts_come_and_go(self):
        for _ in range(50):
            self.host.close()
            self.host = Host(self.path)
            self.host.hello()

    def test_a_host_that_does_not_read_does_not_stop_it(self):
        end = time.monotonic() + 1
        self.host.link.settimeout(0.1)
        try:
            while time.monotonic() < end:
                self.host.send("ping")
        except TimeoutError:
            pass
        self.host.close()
        self.host = Host(self.path)
        self.host.hello()

    def test_idle_it_does_not_wake_up(self):
        def wakeups():
            with open(f"/proc/{self.agent.pid}/status", encoding="ascii") as file:
                return [line for line in file if line.startswith("voluntary")][0]
        time.sleep(0.5)
        before = wakeups()
        time.sleep(2)
        self.assertEqual(wakeups(), before)


def in_namespace():
    """Mounts that nobody else sees; what cannot be run is skipped, in CI it fails."""
    missing = "" if os.geteuid() == 0 else "it needs root"
    if not missing and subprocess.run(["losetup", "-f"], capture_output=True, check=False).returncode != 0:
        missing = "there are no loop devices"
    if missing:
        print("skipped: " + missing)
        sys.exit(1 if os.environ.get("VMC_MUST_RUN") else 77)
    if "VMC_IN_NAMESPACE" not in os.environ:
        os.environ["VMC_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable] + sys.argv)


if __name__ == "__main__":
    in_namespace()
    unittest.main(warnings="ignore")
