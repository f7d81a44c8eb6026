#!/usr/bin/env python3
"""docs.py [--write] - the manual pages against the programs and the code

Whatever the code has in a list, the page must have, and nothing else: options (by --help), keys of the configuration file (the
program is asked about each), exit statuses and names of results, metrics, fields of the journal, the environment of --on-failure,
attributes of <nightly>, keys of JSON, levels of --doctor, system calls of the sandbox, fields of the protocol. In a page such a list
stands between '.\\" NAME:' and '.\\" end of NAME'. groff must have nothing to complain about.

With --write the table of exit statuses is first written into vmcompact(8), from proto/error.c and proto/error.h.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ.get("top_builddir", ".")
SOURCE = os.environ.get("top_srcdir", ".")
COMMAND, AGENT, CONFIG, PROTOCOL = ("host/vmcompact.8", "agent/vmcompact-agent.8", "host/vmcompact.conf.5",
                                    "proto/vmcompact-protocol.7")
failed = False


def complain(text):
    global failed
    failed = True
    print(text)


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        return file.read()


def compare(what, code, page, place):
    """WHAT is listed by the CODE and by the PAGE at PLACE; an empty list is one that was not found."""
    if not code or not page:
        complain(f"{what}: nothing was found in {'the code' if page else place}")
    for name in sorted(set(code) ^ set(page)):
        complain(f"{what}: '{name}' is only in {'the code' if name in code else place}")


# --- pages ------------------------------------------------------------------------------------------------------

def plain(text):
    """Without the marks of fonts and hyphens."""
    return re.sub(r"\\f.", "", text).replace("\\-", "-").replace("\\(aq", "'")


def block(page, name):
    """What stands between the two comments."""
    found = re.search(rf'^\.\\" {name}:.*?\n(.*?)^\.\\" end of {name}$', read(page), re.M | re.S)
    if not found:
        complain(f"{page} has no block '{name}'")
    return found.group(1) if found else ""


def words(macro_line):
    """The words of '.BR a ", " b', without punctuation."""
    return re.findall(r"[\w-]+", macro_line.partition(" ")[2])


def tags(text):
    """The words of each tag: what is explained in paragraphs."""
    return [word for line in re.findall(r"^\.T[PQ].*\n(\..*)", plain(text), re.M) for word in words(line)]


def rows(text):
    """The cells of each row of each table, but the first, which is a heading."""
    tables = re.findall(r"^\.TS\n.*?\.\n(.*?)^\.TE", plain(text), re.M | re.S)
    return [line.split("\t") for table in tables for line in table.splitlines()[1:]]


# --- code -------------------------------------------------------------------------------------------------------

def code(path):
    """The C file PATH without comments."""
    return re.sub(r"/\*.*?\*/", "", read(path), flags=re.S)


def keys_of_json(path):
    return set(re.findall(r'(?:vmc_json_text|vmc_json_number|add_or_null|json_object_object_add) \(object, "(\w+)"', code(path)))


def codes():
    """(status, name, meaning) of each, by status: the table of error.c, and what error.h says about each."""
    table = re.findall(r'\[(VMC_\w+)\] = \{"([\w-]+)", (\d)\}', code("proto/error.c"))
    meanings = dict(re.findall(r"^\t(VMC_\w+), +/\* (.*) \*/$", read("proto/error.h"), re.M))
    done = [(0, "done", "done, or nothing to do")]
    return done + sorted(((int(status), name, meanings[which]) for which, name, status in table), key=lambda row: row[0])


def worst_first():
    numbers = re.search(r"badness\[\] = \{([\d, ]+)\}", code("host/report.c")).group(1).split(", ")
    return sorted(range(1, len(numbers)), key=lambda status: -int(numbers[status]))


def codes_block():
    lines = [f"{status}\t{name}\t{meaning}" for status, name, meaning in codes()]
    table = "\n".join([".TS", "l2 l2 l.", "status\tresult\tmeaning", *lines, ".TE"]).replace("-", "\\-")
    return f"""{table}
.PP
With several disks or domains the worst one counts, in this order from the worst: {", ".join(map(str, worst_first()))}.
"""


def help_of(program):
    """What PROGRAM says to --help; None: it was not built."""
    path = os.path.join(BUILD, program)
    if not os.access(path, os.X_OK):
        return None
    return subprocess.run([path, "--help"], capture_output=True, text=True, check=True).stdout


def long_options(told):
    return set(re.findall(r"^ .*?(--[a-z-]+)", told, re.M)) | set(re.findall(r"^ +--[a-z]+, (--[a-z-]+)", told, re.M))


# --- checks -----------------------------------------------------------------------------------------------------

def check_options(program, page):
    told = help_of(program)
    if told is None:
        return
    options = long_options(told) | set(re.findall(r"^  (-[a-zA-Z])\b", told, re.M))
    section = read(page)
    section = section[section.index(".SH OPTIONS"):]
    section = section[:section.index("\n.SH ", 5)]
    documented = set()
    for paragraph in re.findall(r"^\.T[PQ]\n(.*)", plain(section), re.M):
        documented |= set(re.findall(r"(?<![\w-])(--?[a-zA-Z][a-z-]*)", paragraph.replace('"', " ")))
    compare(f"options of {program}", options, documented, page)


def is_key(word):
    """Would the configuration file take WORD? Without a domain the program ends when it has read the file."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(f"{word} = 1\n")
        file.flush()
        ended = subprocess.run([os.path.join(BUILD, "vmcompact"), f"--config={file.name}"], capture_output=True, text=True,
                               check=False)
    if ended.returncode != 2 or not re.search("line 1: |name at least one domain", ended.stderr):
        complain(f"asked about the key '{word}', the program says: {ended.stderr}")
    return "there is no key" not in ended.stderr


def check_config():
    told = help_of("vmcompact")
    if told is None:
        return
    keys = {option[2:] for option in long_options(told) if is_key(option[2:])}
    compare("keys of the configuration file", keys, tags(block(CONFIG, "keys")), CONFIG)


def check_codes():
    if block(COMMAND, "codes") != codes_block():
        complain(f"{COMMAND} has other exit statuses or results than proto/error.[ch]; 'make page-tables' writes them")
    compare("codes of errors", {name for status, name, _ in codes() if status > 0},
            [word for line in re.findall(r"^\.BR? .*", plain(block(PROTOCOL, "codes")), re.M) for word in words(line)], PROTOCOL)


def check_lists():
    metrics = set(re.findall(r'\{"(\w+)", "(gauge|counter)"', code("host/metrics.c")))
    metrics |= set(re.findall(r'print_head \(out, "(\w+)", "(gauge|counter)"', code("host/metrics.c")))
    compare("metrics", {f"vmcompact_{name}" for name, _ in metrics}, [row[0] for row in rows(block(COMMAND, "metrics"))], COMMAND)
    if any(name.endswith("_total") != (kind == "counter") for name, kind in metrics):
        complain("the metrics that end in _total are not the counters, as the page says")
    strings = " ".join(re.findall(r'"((?:[^"\\]|\\.)*)"', code("host/system_log.c"))).replace("\\n", " ")
    compare("fields of the journal", re.findall(r"\b(VMCOMPACT_\w+|[A-Z_]+(?==))", strings),
            [row[0] for row in rows(block(COMMAND, "journal"))], COMMAND)
    compare("environment of --on-failure", re.findall(r'setenv \("(\w+)"', code("host/aftermath.c")),
            [row[0] for row in rows(block(COMMAND, "environment"))], COMMAND)
    compare("attributes of <nightly>", re.findall(r'strcmp \(name, "([\w-]+)"\)', code("host/nightly.c")),
            tags(block(COMMAND, "nightly")), COMMAND)
    compare("levels of --doctor", re.findall(r'"(\w+)"', re.search(r"names\[\] = \{(.*?)\}", code("host/diagnose.c")).group(1)),
            tags(block(COMMAND, "levels")), COMMAND)


def check_json():
    methods = set(re.findall(r'"(\w+)"', re.search(r"method_names\[\] = \{(.*?)\}", code("host/options.c")).group(1)))
    compare("keys of --json", keys_of_json("host/report.c"), tags(block(COMMAND, "json")), COMMAND)
    compare("keys of --status --json", keys_of_json("host/status.c"), tags(block(COMMAND, "status")), COMMAND)
    compare("keys of --doctor --json", keys_of_json("host/doctor.c") | methods - {"auto"}, tags(block(COMMAND, "doctor")), COMMAND)


def check_sandbox():
    text = re.sub(r"#ifdef __SANITIZE_ADDRESS__.*?#endif|#ifdef SANITIZER_CALLS.*?#endif", "", read("host/sandbox.c"), flags=re.S)
    named = " ".join(re.findall(r"^\.BR? (.*)", block(COMMAND, "seccomp"), re.M))
    compare("system calls of the reader", re.findall(r"SCMP_SYS \((\w+)\)", text), re.findall(r"[a-z_]+[0-9]*", named), COMMAND)


def check_protocol():
    tables = code("proto/message.c") + code("proto/stack.c")
    fields = set(re.findall(r"VMC_(?:TEXT|NUMBER|BOOL|LIST|RANGES) \(struct \w+,\s+(\w+)", tables))
    compare("fields of the protocol", fields | {"session"}, set(tags(block(PROTOCOL, "fields"))), PROTOCOL)
    methods = re.findall(r'\[VMC_\w+\] = \{"(\w+)"', code("proto/message.c"))
    compare("methods of the protocol", methods, re.findall(r"^\.SS (\w+)$", block(PROTOCOL, "fields"), re.M), PROTOCOL)


def check_form(page):
    """Examples come first, and groff is content."""
    sections = re.findall(r"^\.SH (.*)", read(page), re.M)
    if sections[:3] != ["NAME", "SYNOPSIS", "EXAMPLES"]:
        complain(f"{page} does not begin with NAME, SYNOPSIS and EXAMPLES")
    if shutil.which("groff"):
        said = subprocess.run(["groff", "-t", "-man", "-Tutf8", "-ww", "-z", os.path.join(SOURCE, page)], capture_output=True,
                              text=True, check=False)
        if said.returncode or said.stderr:
            complain(said.stderr)


def write_tables():
    before, mark, rest = re.split(r'(^\.\\" codes:.*\n)', read(COMMAND), maxsplit=1, flags=re.M)
    after = rest[rest.index('.\\" end of codes'):]
    with open(os.path.join(SOURCE, COMMAND), "w", encoding="utf-8") as file:
        file.write(before + mark + codes_block() + after)


if sys.argv[1:] == ["--write"]:
    write_tables()
check_options("vmcompact", COMMAND)
check_options("vmcompact-agent", AGENT)
check_config()
check_codes()
check_lists()
check_json()
check_sandbox()
check_protocol()
for each in (COMMAND, AGENT, CONFIG, PROTOCOL):
    check_form(each)
sys.exit(failed)
