#!/usr/bin/env python3
"""The manual pages against the programs: every option of --help is in OPTIONS of the page and the other way round, and groff
has nothing to complain about."""
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
sys.exit(failed)
