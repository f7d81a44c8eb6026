#!/usr/bin/env python3
"""Zeroing free space by the real agent, on real filesystems on loop devices: that it zeroes what is free and nothing else, in each
of its ways; that the guest's own programs find room all the time; that the space is back at once however it ends; and what it
refuses. Needs root; runs in a mount namespace of its own.

Each image is noise all over before its filesystem is made, so the noise that is left afterwards is what was not zeroed.
"""
import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
from agent import AGENT, Host, in_namespace, sh  # noqa: E402

MEDDLE = os.path.abspath(os.path.join(os.environ.get("top_builddir", "."), "tests/agent/meddle.so"))
MIB = 1 << 20
MARK = b"noise of an earlier day"
NOISE = (MARK.ljust(512, b".")) * 2048
RESERVE = 32 * MIB
LONG = "VMC_LONG" in os.environ
MKFS = {"ext4": "mkfs.ext4 -q -F -m 0 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0",
        "ext3": "mkfs.ext3 -q -F -m 0 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0",
        "xfs": "mkfs.xfs -q -f -K", "btrfs": "mkfs.btrfs -q -f -K"}
FSCK = {"ext4": "e2fsck -f -n", "ext3": "e2fsck -f -n", "xfs": "xfs_repair -n", "btrfs": "btrfs check"}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def program(name):
    return subprocess.run(f"command -v {name}", shell=True, stdout=subprocess.DEVNULL, check=False).returncode == 0


def digest_of(data):
    return hashlib.blake2b(data).digest()


def pieces(path):
    """What is in a file, in one buffer again and again: where memory is emulated, fresh memory costs more than the disk."""
    piece = bytearray(MIB)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(piece):
            yield memoryview(piece)[:count]


def file_digest(path):
    digest = hashlib.blake2b()
    for piece in pieces(path):
        digest.update(piece)
    return digest.digest()


class Disk:
    """A filesystem on a loop device, in an image full of noise, with some files in it."""

    def __init__(self, kind="ext4", size_mib=128, mkfs="", mount="", directory=None, noise=True, loop=""):
        if not program("mkfs." + kind) or kind not in open("/proc/filesystems", encoding="ascii").read():
            raise unittest.SkipTest(f"this machine has no {kind}")
        self.kind = kind
        self.dir = tempfile.mkdtemp(prefix="vmcompact-zero.")
        self.image, self.mount = (directory or self.dir) + "/image", self.dir + "/mnt"
        os.mkdir(self.mount)
        with open(self.image, "wb") as file:
            for _ in range(size_mib if noise else 0):
                file.write(NOISE)
            file.truncate(size_mib * MIB)
        self.loop = output("losetup", "-f", "--show", *loop.split(), self.image)
        sh(f"{MKFS[kind]} {mkfs} {self.loop} && mount {mount} {self.loop} {self.mount}")
        number = os.stat(self.mount).st_dev if kind != "btrfs" else 0
        self.name = f"{os.major(number)}:{os.minor(number)}"
        self.files = {}
        for i in range(20):
            self.write(f"file{i}", os.urandom(300000 + i * 1000))
        for i in range(0, 20, 3):
            os.unlink(f"{self.mount}/file{i}")
            del self.files[f"file{i}"]
        sh("sync")
        self.allocated = os.stat(self.image).st_blocks * 512
        self.noise_before = self.noise() if noise else 0
        self.available_before = self.available()

    def write(self, name, data):
        with open(f"{self.mount}/{name}", "wb") as file:
            file.write(data)
        self.files[name] = digest_of(data)

    def available(self):
        space = os.statvfs(self.mount)
        return space.f_bavail * space.f_frsize

    def check(self, test):
        """The files are what they were, and fsck finds nothing. The filesystem is not mounted any more."""
        sh(f"umount {self.mount} && sync && blockdev --flushbufs {self.loop}")
        result = subprocess.run(f"{FSCK[self.kind]} {self.loop}", shell=True, capture_output=True, text=True, check=False)
        test.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        sh(f"mount {self.loop} {self.mount}")
        for name, digest in self.files.items():
            test.assertEqual(file_digest(f"{self.mount}/{name}"), digest, name)
        test.assertEqual([name for name in os.listdir(self.mount) if name.startswith(".vmcompact")], [])
        sh(f"umount {self.mount}")

    def noise(self):
        """Bytes of noise, read through the device."""
        sectors = 0
        sh(f"sync && blockdev --flushbufs {self.loop}")
        for piece in pieces(self.loop):
            sectors += piece.obj.count(MARK, 0, len(piece))
        return sectors * 512

    def close(self):
        subprocess.run(["umount", "-q", self.mount], check=False)
        sh(f"losetup -d {self.loop} && rm -r {self.dir} && rm -f {self.image}")


class ZeroTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="vmcompact-zero.")
        self.addCleanup(sh, f"rm -r {self.dir}")
        self.agent = None

    def disk(self, *args, **kwargs):
        self.end()
        disk = Disk(*args, **kwargs)
        self.addCleanup(disk.close)
        self.addCleanup(self.end)
        return disk

    def start(self, limit=None, wrap=(), **meddle):
        self.end()
        self.log = self.dir + "/log"
        open(self.log, "w", encoding="ascii").close()
        environment = dict(os.environ)
        if meddle:
            environment.update(meddle, LD_PRELOAD=MEDDLE, MEDDLE_LOG=self.log,
                               ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")
        path = self.dir + "/socket"
        if os.path.exists(path):
            os.unlink(path)
        self.agent = subprocess.Popen(
            [*wrap, AGENT, "--port=unix:" + path, f"--note={self.dir}/note"], env=environment,
            preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))))
        self.host = Host(path)
        self.host.link.settimeout(120)
        self.host.hello()

    def end(self):
        if self.agent is None:
            return
        self.host.close()
        if self.agent.poll() is None:
            self.agent.terminate()
        self.agent.wait(10)

    def name_of(self, disk):
        found = [f for f in self.host.call("filesystems")["filesystems"] if f["mount_point"] == disk.mount]
        self.assertEqual(len(found), 1)
        return found[0]["filesystem"]

    def zero(self, disk, reserve=RESERVE, rate=0):
        return self.host.call("zero", filesystem=self.name_of(disk), reserve_bytes=reserve, rate_bytes_per_s=rate)

    def begin(self, disk, reserve=RESERVE, rate=64 * MIB, taken=64 * MIB):
        """Start a slow one; return when it has TAKEN so much."""
        self.before = disk.available()
        self.number = self.host.send("zero", session=self.host.session, filesystem=self.name_of(disk),
                                     reserve_bytes=reserve, rate_bytes_per_s=rate)
        end = time.monotonic() + 20
        while disk.available() > self.before - taken:
            self.assertLess(time.monotonic(), end, "it does not get on")
            time.sleep(0.01)

    def worker(self):
        with open(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])

    def logged(self, word):
        with open(self.log, encoding="ascii") as file:
            return sum(line.startswith(word) for line in file)

    def ranges(self, *words):
        """The ranges that the log has for these words, sorted; those that touch are one."""
        merged = []
        with open(self.log, encoding="ascii") as file:
            found = sorted(tuple(map(int, line.split()[-2:])) for line in file if line.startswith(words))
        for start, length in found:
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], start + length)
            else:
                merged.append([start, start + length])
        return merged

    def assertRefused(self, text, function, *args, **kwargs):
        with self.assertRaisesRegex(RuntimeError, text):
            function(*args, **kwargs)

    def assertBack(self, disk, within_s=1.0):
        """All of the space is there again."""
        began = time.monotonic()
        while disk.available() < self.before - MIB:
            self.assertLess(time.monotonic() - began, within_s, "the space is not back")
            time.sleep(0.005)

    def assertZeroed(self, disk, result, kept=RESERVE, grows=False):
        """What is free is zero but for the reserve, the margin and less than a slice, and all else is as it was."""
        disk.check(self)
        gone = disk.noise_before - disk.noise()
        self.assertGreater(gone, disk.available_before - kept - kept // 16 - 2 * MIB)
        self.assertLess(abs(result["zeroed_bytes"] - gone), 10 * MIB)  # what was deleted is no noise
        if not grows:
            self.assertLessEqual(os.stat(disk.image).st_blocks * 512, disk.allocated + MIB)

    # --- what is zeroed ---

    def test_ext4(self):
        disk = self.disk("ext4", 512)
        self.assertGreater(disk.noise(), 400 * MIB)
        self.start()
        result = self.zero(disk)
        self.assertEqual(result["zero_bytes"], 0)
        self.assertZeroed(disk, result)
        self.assertLess(os.stat(disk.image).st_blocks * 512, 100 * MIB)

    def test_xfs(self):
        disk = self.disk("xfs", 512)
        self.start()
        self.assertZeroed(disk, self.zero(disk))
        self.assertLess(os.stat(disk.image).st_blocks * 512, 150 * MIB)

    def test_small_blocks_and_clusters(self):
        for mkfs in ("-b 1024", "-b 2048", "-O bigalloc -C 65536", "-O ^has_journal", "-O ^metadata_csum,^64bit",
                     "-O inline_data", "-O fast_commit", "-O flex_bg -G 4 -g 8192 -b 4096"):
            with self.subTest(mkfs):
                disk = self.disk("ext4", 128, mkfs)
                self.start()
                self.assertZeroed(disk, self.zero(disk))

    def test_data_that_goes_to_the_journal_first(self):
        """Old kernels do not bring it to its place when it is synced: then it is refused."""
        disk = self.disk("ext4", 128, mount="-o data=journal")
        self.start()
        try:
            self.assertZeroed(disk, self.zero(disk))
        except RuntimeError as error:
            self.assertIn("unsupported: what is written to a file is not where the kernel says", str(error))
            self.assertEqual(disk.noise(), disk.noise_before)

    def test_free_space_in_single_blocks(self):
        disk = self.disk("ext4", 256, "-N 40000 -b 4096", mount="-o nodelalloc")
        for i in range(24000):
            with open(f"{disk.mount}/small{i}", "wb") as file:
                file.write(NOISE[:4096])
        sh("sync")
        for i in range(0, 24000, 2):
            os.unlink(f"{disk.mount}/small{i}")
        disk.files["small1"] = digest_of(NOISE[:4096])
        sh("sync")
        disk.noise_before, disk.available_before = disk.noise(), disk.available()
        self.start(MEDDLE_MARKS="0")
        self.assertZeroed(disk, self.zero(disk, 16 * MIB), 16 * MIB)
        self.assertGreater(self.logged("map"), 200)  # more than one page, more than one layout

    def test_what_was_allocated_before_is_enough_for_a_sparse_image(self):
        disk = self.disk("ext4", 8192, noise=False)
        self.start()
        began = time.monotonic()
        result = self.zero(disk, 0)
        took = time.monotonic() - began
        print(f"\n{result['zeroed_bytes'] / (1 << 30):.2f} GiB of a sparse image in {took:.2f} s")
        self.assertGreater(result["zeroed_bytes"], 7 << 30)
        self.assertLess(os.stat(disk.image).st_blocks * 512, disk.allocated + 8 * MIB)
        disk.check(self)

    def test_other_filesystems_get_a_file_of_zeros(self):
        for kind, size in (("ext3", 128), ("btrfs", 256)):
            with self.subTest(kind):
                disk = self.disk(kind, size)
                self.start()
                self.assertZeroed(disk, self.zero(disk), grows=kind == "btrfs")

    def test_btrfs_that_compresses(self):
        disk = self.disk("btrfs", 256, mount="-o compress-force=zstd")
        self.start()
        self.assertZeroed(disk, self.zero(disk))

    def test_zeros_that_take_no_space(self):
        """A filesystem that says that it does not compress, and does."""
        disk = self.disk("btrfs", 320, mount="-o compress-force=zstd", noise=False)
        self.start(MEDDLE="compress,no-direct")
        result = self.zero(disk)
        self.assertGreaterEqual(result["zeroed_bytes"], 320 * MIB)
        self.assertLess(result["zeroed_bytes"], 320 * MIB + RESERVE // 4)

    def test_ext4_without_extents_gets_a_file_of_zeros(self):
        disk = self.disk("ext4", 128, "-O ^extents,^64bit")
        self.start(MEDDLE="no-punch")
        self.assertZeroed(disk, self.zero(disk))
        self.assertEqual(self.logged("punch"), 0)

    def test_xfs_with_its_files_on_another_device_gets_a_file_of_zeros(self):
        disk = self.disk("xfs", 320)
        self.start(MEDDLE="realtime")
        self.assertZeroed(disk, self.zero(disk))
        self.assertEqual((self.logged("punch"), self.logged("map")), (0, 0))

    def test_a_file_of_zeros_through_the_page_cache(self):
        for word in ("no-direct", "late-direct"):
            with self.subTest(word):
                disk = self.disk("ext3", 128)
                self.start(MEDDLE=word)
                self.assertZeroed(disk, self.zero(disk))

    def test_a_file_that_had_a_name(self):
        for kind in ("ext3", "ext4"):
            with self.subTest(kind):
                disk = self.disk(kind, 128)
                self.start(MEDDLE="no-tmpfile")
                self.assertZeroed(disk, self.zero(disk))

    def test_files_that_are_limited_in_length(self):
        for kind in ("ext3", "ext4"):
            with self.subTest(kind):
                disk = self.disk(kind, 128)
                self.start(limit=20 * MIB)
                self.assertZeroed(disk, self.zero(disk, 16 * MIB), 16 * MIB)

    def islands(self, disk, holes):
        """Fill the disk with one file, every third block of it zero, and punch HOLES (MiB) into it, one block apart from each
        other: whatever is zeroed in a wrong place is in that file."""
        number, size, at = 0, disk.available() // MIB * MIB - 4 * MIB, 64 * 4096
        piece = bytearray((bytes(4096) + NOISE[:8192]) * 256)
        with open(disk.mount + "/islands", "wb") as file:
            while (number + 768) * 4096 <= size:
                for n in range(768):
                    if n % 3 != 0:
                        piece[n * 4096 + 32:n * 4096 + 41] = b"%9d" % (number + n)
                file.write(piece)
                number += 768
        sh("sync")
        for hole in holes:
            length = max(4096, int(hole * MIB) // 4096 * 4096)
            sh(f"fallocate -p -o {at} -l {length} {disk.mount}/islands")
            at += length + 4096
        self.assertLess(at, size)
        disk.files["islands"] = file_digest(disk.mount + "/islands")
        sh("sync")
        disk.noise_before, disk.available_before = disk.noise(), disk.available()

    def assertHoles(self, disk, result, kept, read_first):
        disk.check(self)
        gone, taken = disk.noise_before - disk.noise(), result["zeroed_bytes"] + result["zero_bytes"]
        self.assertGreater(taken, disk.available_before - kept - kept // 16 - 2 * MIB)
        self.assertLess(abs(gone - taken * 2 // 3), 8 * MIB)
        if read_first:
            self.assertLess(abs(gone - result["zeroed_bytes"]), MIB)

    # --- in which way ---

    def test_between_islands(self):
        for kind, words in (("ext4", ""), ("ext4", "no-punch"), ("xfs", "before"), ("ext4", "before")):
            with self.subTest(kind + " " + words):
                disk = self.disk(kind, 512, "-b 4096" if kind == "ext4" else "", noise=False)
                self.islands(disk, [100, 0, 0, 1, 90, 0, 0, 2, 110, 0.02, 70, 30])
                self.start(MEDDLE=words)
                result = self.zero(disk, 272 * MIB)  # slices of 68 MiB, pieces of 64
                zeroed, reserved = self.ranges("punch", "zeroout"), self.ranges("extent")
                self.assertEqual(sum(end - start for start, end in zeroed), result["zeroed_bytes"])
                self.assertEqual([r for r in reserved if r[1] - r[0] > 4096], [z for z in zeroed if z[1] - z[0] > 4096])
                self.assertHoles(disk, result, 272 * MIB, False)

    def test_between_islands_that_are_read_first(self):
        for kind, size, words in (("ext4", 128, "no-punch,no-zeroout"), ("ext4", 128, "no-open"), ("xfs", 320, "no-open"),
                                  ("xfs", 320, "no-punch,no-zeroout,before")):
            with self.subTest(kind + " " + words):
                disk = self.disk(kind, size, "-b 4096" if kind == "ext4" else "", noise=False)
                self.islands(disk, [20, 0, 0, 1, 0.01, 10, 0.1, 2, 30, 5])
                self.start(MEDDLE=words)
                self.assertHoles(disk, self.zero(disk), RESERVE, True)

    def test_a_device_that_cannot_zero_is_read_first(self):
        sh(f"mkdir {self.dir}/ram && mount -t ramfs none {self.dir}/ram")
        self.addCleanup(sh, f"umount {self.dir}/ram")
        disk = self.disk("ext4", 128, directory=self.dir + "/ram")
        self.assertEqual(open(f"/sys/block/{disk.loop[5:]}/queue/write_zeroes_max_bytes", encoding="ascii").read(), "0\n")
        self.start(MEDDLE_MARKS="0")
        first = self.zero(disk)
        self.assertGreater(first["zeroed_bytes"], 60 * MIB)
        self.assertGreater(self.logged("write device"), 10)
        written = self.logged("write device")
        second = self.zero(disk)
        self.assertGreater(second["zero_bytes"], 60 * MIB)
        self.assertLess(second["zeroed_bytes"], 8 * MIB)  # the rest of the free space, where the allocator went on
        self.assertLess(self.logged("write device") - written, 20)
        self.assertZeroed(disk, first)

    def test_a_device_that_zeroes_but_cannot_be_punched(self):
        disk = self.disk("ext4", 128)
        self.start(MEDDLE="no-punch")
        self.assertZeroed(disk, self.zero(disk))
        self.assertEqual(self.logged("punch"), 1)
        self.assertGreater(self.logged("zeroout"), 3)
        self.assertEqual(self.logged("write device"), 0)

    def test_a_device_that_nobody_may_write_to(self):
        for kind, size, words in (("ext4", 128, "no-open"), ("ext4", 128, "no-punch,no-zeroout,no-write"), ("xfs", 320, "no-open")):
            with self.subTest(kind + " " + words):
                disk = self.disk(kind, size)
                self.start(MEDDLE=words)
                result = self.zero(disk)
                self.assertZeroed(disk, result)
                self.assertGreater(self.logged("write file"), 10)

    def test_a_device_that_has_become_read_only(self):
        disk = self.disk("ext4", 128)
        self.start(MEDDLE_MARKS="0")
        sh(f"blockdev --setro {disk.loop}")
        try:
            result = self.zero(disk)
        finally:
            sh(f"blockdev --setrw {disk.loop}")
        self.assertGreater(self.logged("write file"), 10)
        self.assertZeroed(disk, result)

    def test_a_device_without_a_node(self):
        disk = self.disk("ext4", 128)
        sh(f"mount --bind /dev/null {disk.loop}")
        try:
            self.start(MEDDLE_MARKS="0")
            result = self.zero(disk)
        finally:
            sh(f"umount {disk.loop}")
        self.assertGreater(self.logged("punch"), 1)
        self.assertEqual([name for name in os.listdir("/dev") if "vmcompact" in name], [])
        self.assertZeroed(disk, result)

    def test_with_the_rights_that_the_unit_gives(self):
        unit = os.path.join(os.environ.get("top_srcdir", "."), "packaging/systemd/vmcompact-agent.service.in")
        with open(unit, encoding="ascii") as file:
            rights = [line.split("=")[1].split() for line in file if line.startswith("CapabilityBoundingSet=")][0]
        rights = ",".join("+" + right.removeprefix("CAP_").lower() for right in rights)
        disk = self.disk("ext4", 128)
        sh(f"chown nobody {disk.mount} && chmod 700 {disk.mount} && mount --bind /dev/null {disk.loop}")
        try:
            self.start(wrap=("setpriv", "--no-new-privs", "--bounding-set=-all," + rights))
            result = self.zero(disk)
        finally:
            sh(f"umount {disk.loop}")
        self.assertZeroed(disk, result)

    # --- the guest must not notice ---

    def test_the_reserve_is_kept(self):
        for kind in ("ext4", "xfs", "ext3", "btrfs"):
            with self.subTest(kind):
                disk = self.disk(kind, 320, noise=False)
                self.start()
                lowest, done = [disk.available()], threading.Event()

                def sample():
                    while not done.is_set():
                        lowest[0] = min(lowest[0], disk.available())
                        time.sleep(0.001)
                thread = threading.Thread(target=sample)
                thread.start()
                try:
                    self.zero(disk, 64 * MIB, 256 * MIB)
                finally:
                    done.set()
                    thread.join()
                self.assertGreaterEqual(lowest[0], 64 * MIB)
                self.assertLess(lowest[0], (76 if kind != "btrfs" else 192) * MIB)  # btrfs sets chunks aside

    def test_the_default_reserve(self):
        for size, kept in ((320, 256), (8192, 410)):
            with self.subTest(size):
                disk = self.disk("ext4", size, noise=False)
                self.start()
                room = disk.available() - kept * MIB
                result = self.zero(disk, 0)
                self.assertLess(abs(result["zeroed_bytes"] - room), 70 * MIB)

    def test_nothing_above_the_reserve_is_no_failure(self):
        disk = self.disk("ext4", 128)
        self.start()
        for reserve in (1024 * MIB, (1 << 63) - 2):
            self.assertEqual(self.zero(disk, reserve), {"zeroed_bytes": 0, "zero_bytes": 0})

    def fill(self, disk, pause_s=0.0):
        """Write until the disk is full, with a pause after each MiB; so many bytes fitted."""
        filled, block = 0, os.urandom(MIB)
        fd = os.open(disk.mount + "/filler", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while True:
                filled += os.write(fd, block)
                time.sleep(pause_s)
        except OSError as error:
            self.assertEqual(error.errno, 28)
        os.close(fd)
        return filled

    def test_who_fills_the_disk_meanwhile_finds_all_of_it(self):
        for kind in ("ext4", "xfs", "ext3", "btrfs"):
            with self.subTest(kind):
                disk = self.disk(kind, 512, noise=False)
                self.start()
                alone = self.fill(disk)
                os.unlink(disk.mount + "/filler")
                sh("sync")
                self.begin(disk, 128 * MIB, 128 * MIB, 200 * MIB)
                # Who takes more than the reserve between two looks may find less: this one takes it in half a second.
                self.assertGreaterEqual(self.fill(disk, 0.004), alone - 2 * MIB)
                result = self.host.wait(self.number)["result"]
                self.assertGreater(result["zeroed_bytes"], 150 * MIB)
                disk.check(self)

    def test_many_who_write_and_delete_meanwhile(self):
        disk = self.disk("ext4", 512)
        self.start()
        done = threading.Event()
        data = [os.urandom(200000) for _ in range(8)]

        def write(number):
            for i in range(1000000):
                if done.is_set():
                    break
                with open(f"{disk.mount}/w{number}.{i % 40}", "wb") as file:
                    file.write(data[(number + i) % 8])
                if i % 7 == 0:
                    sh(f"sync -f {disk.mount}")
                disk.files[f"w{number}.{i % 40}"] = digest_of(data[(number + i) % 8])
        threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(6 if LONG else 3):
                self.assertGreater(self.zero(disk)["zeroed_bytes"], 200 * MIB)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        disk.check(self)

    def test_the_rate_is_kept_and_progress_is_told(self):
        disk = self.disk("ext4", 256)
        self.start()
        began = time.monotonic()
        result = self.zero(disk, RESERVE, 64 * MIB)
        took = time.monotonic() - began
        self.assertGreater(took, result["zeroed_bytes"] / (64 * MIB) - 0.3)
        self.assertLess(took, result["zeroed_bytes"] / (64 * MIB) + 2)
        told = [note["params"] for note in self.host.notes]
        self.assertGreater(len(told), 5)
        self.assertEqual([p["done_bytes"] for p in told], sorted(p["done_bytes"] for p in told))
        for progress in told:
            self.assertLessEqual(progress["done_bytes"], progress["total_bytes"])

    # --- how it ends ---

    def test_in_the_middle_only_the_worker_has_the_file(self):
        disk = self.disk("ext4", 320, noise=False)
        self.start()
        self.begin(disk)
        owners = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            except OSError:
                continue
            if any(link.startswith(disk.mount) and "(deleted)" in link for link in links):
                owners.add(int(pid))
        self.assertEqual(owners, {self.worker()})
        self.assertEqual([name for name in os.listdir(disk.mount) if name.startswith(".")], [])

    def test_however_it_ends_the_space_is_back(self):
        def cancel():
            self.assertTrue(self.host.call("cancel")["cancelled"])
            self.assertEqual(self.host.notes[-1]["error"]["data"]["code"], "cancelled")
        ends = {"cancel": cancel, "kill": lambda: self.agent.kill(), "SIGTERM": lambda: self.agent.terminate(),
                "hang-up": lambda: self.host.close(), "greeting": lambda: self.host.hello(),
                "worker": lambda: os.kill(self.worker(), signal.SIGKILL)}
        for kind, size in (("ext4", 320), ("xfs", 320), ("ext3", 320)):
            disk = self.disk(kind, size, noise=False)
            for name, end in ends.items() if kind == "ext4" or LONG else (("cancel", cancel), ("kill", ends["kill"])):
                with self.subTest(kind + " " + name):
                    self.start()
                    self.begin(disk)
                    end()
                    self.assertBack(disk)
                    self.end()
            disk.check(self)

    def test_a_cancelled_one_can_be_started_again(self):
        disk = self.disk("ext4", 320)
        self.start()
        for _ in range(5 if LONG else 2):
            self.begin(disk)
            self.assertTrue(self.host.call("cancel")["cancelled"])
            self.assertBack(disk)
        self.assertZeroed(disk, self.zero(disk))

    def test_a_guest_that_crashes_in_the_middle(self):
        """What a copy of its frozen disk has is what a crash leaves, with the file without a name among the orphans."""
        for kind in ("ext4", "xfs"):
            with self.subTest(kind):
                disk = self.disk(kind, 320)
                self.start()
                self.begin(disk)
                sh(f"fsfreeze -f {disk.mount}")
                sh(f"cp --sparse=always {disk.image} {disk.dir}/copy; fsfreeze -u {disk.mount}")
                self.host.call("cancel")
                option = "-o nouuid" if kind == "xfs" else ""
                sh(f"umount {disk.mount} && mount {option} -o loop {disk.dir}/copy {disk.mount}")
                self.assertBack(disk, 5)
                sh(f"umount {disk.mount} && {FSCK[kind]} {disk.dir}/copy >/dev/null 2>&1")
                sh(f"mount {disk.loop} {disk.mount}")
                disk.check(self)

    def test_meanwhile_others_wait_and_questions_are_answered(self):
        disk = self.disk("ext4", 320, noise=False)
        self.start()
        self.begin(disk)
        name = disk.name
        self.host.ask("ping")
        self.assertEqual(self.host.ask("status")["job"], "zero")
        self.assertRefused("^busy", self.zero, disk)
        self.assertRefused("^busy", self.host.call, "trim", filesystem=name, minimum_bytes=0, force=False)
        self.assertRefused("^busy", self.host.call, "freeze", disk=name, filesystems=[name], early=[], deadline_ms=100)

    # --- what is refused ---

    def test_requests_without_sense(self):
        disk = self.disk("ext4", 128)
        self.start()
        self.assertIn({"zero"}, [{c} for c in self.host.hello()["capabilities"]])
        self.assertRefused("^usage: .*reserve", self.zero, disk, 16 * MIB - 1)
        self.assertRefused("^usage: .*rate", self.zero, disk, RESERVE, MIB - 1)
        self.assertRefused("^usage: .*not mounted", self.host.call, "zero", filesystem="9:9", reserve_bytes=0, rate_bytes_per_s=0)
        self.assertRefused("^protocol", self.host.call, "zero", filesystem=disk.name, reserve_bytes=0)
        self.assertRefused("^usage: .*session", self.host.ask, "zero", session="old", filesystem=disk.name, reserve_bytes=0,
                           rate_bytes_per_s=0)

    def why_not(self, disk):
        return [f for f in self.host.call("filesystems")["filesystems"] if f["mount_point"] == disk.mount][0]["why_not_zero"]

    def test_a_read_only_filesystem(self):
        disk = self.disk("ext4", 128)
        sh(f"mount -o remount,ro {disk.mount}")
        self.start()
        self.assertIn("read-only", self.why_not(disk))
        self.assertRefused("^unsupported: .*read-only", self.zero, disk)

    def test_a_filesystem_with_errors(self):
        disk = self.disk("ext4", 128)
        self.start()
        self.assertEqual(self.why_not(disk), "")
        with open(f"/sys/fs/ext4/{disk.loop[5:]}/trigger_fs_error", "w", encoding="ascii") as file:
            file.write("a test")
        self.assertIn("errors", self.why_not(disk))
        self.assertRefused("^unsupported: .*errors", self.zero, disk)
        noise = disk.noise()
        self.assertGreater(noise, 90 * MIB)

    def refuse(self, disk, text, **meddle):
        """The job is refused before the device is touched."""
        self.start(**meddle)
        self.before = disk.available()
        self.assertRefused(text, self.zero, disk)
        self.assertEqual((self.logged("punch"), self.logged("zeroout"), self.logged("write device")), (0, 0, 0))
        self.assertBack(disk)
        self.end()

    def test_marks_that_the_kernel_puts_on_places(self):
        disk = self.disk("ext4", 128)
        for mark in (0x2, 0x4, 0x8, 0x80, 0x100, 0x200, 0x400, 0x1000, 0x2000, 0x4000, 0x80000000):
            with self.subTest(hex(mark)):
                self.refuse(disk, f"^unsupported: .*marks {hex(mark | 0x801)}|^unsupported: .*marks {hex(mark | 0x800)}",
                            MEDDLE_MARKS=hex(mark))
        disk.check(self)

    def test_a_kernel_that_names_wrong_places(self):
        disk = self.disk("ext4", 128, "-b 4096")
        self.refuse(disk, "^unsupported: .*not where the kernel says", MEDDLE="elsewhere")
        self.refuse(disk, "^unsupported: .*outside of the device", MEDDLE="outside")
        self.refuse(disk, "^unsupported: .*does not tell where", MEDDLE="no-map")
        disk.check(self)

    # The first two maps are of the block that is tried; then there are three for each slice.

    def test_somebody_writes_to_the_reserved_space(self):
        disk = self.disk("ext4", 128)
        self.refuse(disk, "^unsupported: .*marks 0x", MEDDLE_MAP="3",
                    MEDDLE_ACTION="dd if=/dev/urandom of=$FILE bs=64k count=1 conv=notrunc oflag=direct 2>/dev/null")
        self.assertEqual(self.logged("action"), 1)
        disk.check(self)

    def test_somebody_shares_the_reserved_space(self):
        disk = self.disk("xfs", 320)
        self.refuse(disk, "^unsupported: .*marks 0x2...", MEDDLE_MAP="3",
                    MEDDLE_ACTION="dd if=/dev/urandom of=$FILE bs=64k count=1 conv=notrunc oflag=direct 2>/dev/null && "
                    f"cp --reflink=always $FILE {disk.mount}/clone")
        self.assertEqual(self.logged("action"), 1)
        with open(disk.mount + "/clone", "rb") as file:
            self.assertGreater(len(set(file.read(65536))), 200)
        os.unlink(disk.mount + "/clone")
        disk.check(self)

    def test_somebody_punches_a_hole_into_the_reserved_space(self):
        disk = self.disk("ext4", 128)
        for number in ("3", "4"):
            with self.subTest(number):
                self.refuse(disk, "^unsupported: .*has a gap", MEDDLE_MAP=number,
                            MEDDLE_ACTION="fallocate -p -o 131072 -l 131072 $FILE")
                self.assertEqual(self.logged("action"), 1)
        disk.check(self)

    MOVE = "size=$(stat -L -c %s $FILE) && fallocate -c -o 0 -l 65536 $FILE && fallocate -o 0 -l $size $FILE"

    def test_the_reserved_space_moves(self):
        disk = self.disk("ext4", 128)
        self.refuse(disk, "^unsupported: .*moves", MEDDLE_MAP="4", MEDDLE_ACTION=self.MOVE)
        self.assertEqual(self.logged("action"), 1)
        disk.check(self)

    def test_the_reserved_space_has_moved_while_it_was_zeroed(self):
        disk = self.disk("ext4", 128)
        self.start(MEDDLE_MAP="5", MEDDLE_ACTION=self.MOVE)
        self.assertRefused("^failed: .*moved while it was zeroed", self.zero, disk)
        self.assertEqual(self.logged("action"), 1)
        disk.check(self)


if __name__ == "__main__":
    in_namespace()
    unittest.main(warnings="ignore")
