#!/usr/bin/env python3
"""The manual pages against the programs: every option of --help is in OPTIONS of the page and the other way round, the
system calls of the reader's sandbox are those that vmcompact(8) names, and groff has nothing to complain about."""
import os
import re
import shutil
import subprocess
import sys

BUILD = os.environ.get("top_builddir", ".")
SOURCE = os.environ.get("top_srcdir", ".")
PAGES = {"vmcompact": "host/vmcompact.8", "vmcompact-agent": "agent/vmcompact-agent.8", None: "proto/vmcompact-protocol.7"}

failed = False
for program, page in PAGES.items():
    with open(os.path.join(SOURCE, page), encoding="utf-8") as file:
        text = file.read()
    if program and os.access(os.path.join(BUILD, program), os.X_OK):
        told = subprocess.run([os.path.join(BUILD, program), "--help"], capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"^ .*?(--[a-z-]+)", told, re.M)) | set(re.findall(r"^  (-[a-zA-Z])\b", told, re.M))
        section = text[text.index(".SH OPTIONS"):].replace("\\-", "-")
        section = section[:section.index("\n.SH ", 5)]
        documented = set()
        for paragraph in re.findall(r"^\.TP\n(.*)", section, re.M):
            documented |= set(re.findall(r"(?<![\w-])(--?[a-zA-Z][a-z-]*)", re.sub(r"\\f.|[\"]", " ", paragraph)))
        if not options:
            print(f"{program} --help names no options")
            failed = True
        for option in sorted(options ^ documented):
            print(f"{program}: {option} is only in {'--help' if option in options else page}")
            failed = True
    if shutil.which("groff"):
        said = subprocess.run(["groff", "-t", "-man", "-ww", "-z", os.path.join(SOURCE, page)], capture_output=True, text=True,
                              check=False)
        if said.returncode or said.stderr:
            print(said.stderr)
            failed = True
with open(os.path.join(SOURCE, "host/sandbox.c"), encoding="utf-8") as file:
    code = re.sub(r"#ifdef __SANITIZE_ADDRESS__.*?#endif|#ifdef SANITIZER_CALLS.*?#endif", "", file.read(), flags=re.S)
allowed = set(re.findall(r"SCMP_SYS \((\w+)\)", code))
with open(os.path.join(SOURCE, PAGES["vmcompact"]), encoding="utf-8") as file:
    section = file.read().partition('.\\" seccomp:')[2].partition('.\\" end of seccomp')[0]
named = set(re.findall(r"[a-z_]+[0-9]*", " ".join(re.findall(r"^\.BR? (.*)", section, re.M))))
if not allowed or allowed != named:
    print(f"vmcompact(8) and host/sandbox.c name other system calls: {sorted(allowed ^ named)}")
    failed = True
sys.exit(failed)
