#!/usr/bin/env python3
"""completion.py SHELL FILE COMMAND - what an interactive SHELL offers when somebody types, against COMMAND's --help

SHELL (bash or zsh) is run on a terminal with the completion of FILE; each question is a line and two taps on the TAB key. Its
options must be those of --help, no more and no less; so must be the values of those that have a fixed set, and the names of domains
must be what virsh lists (at least one must be defined).
"""
import os
import pty
import re
import select
import subprocess
import sys
import time

SHELL, FILE, COMMAND = sys.argv[1], os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])
PATIENCE_S = 20
PROMPT = "READY> "
SETUP = {
    "bash": ["source /usr/share/bash-completion/bash_completion", f"source {FILE}", "bind 'set completion-query-items 0'", "bind 'set page-completions off'",
             "bind 'set enable-bracketed-paste off'", "bind 'set bell-style none'"],
    "zsh": [f"fpath=({os.path.dirname(FILE)} $fpath)", "autoload -U compinit", "compinit -D -u", "setopt nobeep listpacked",
            "LISTMAX=10000", "zstyle ':completion:*' list-prompt ''", "unsetopt automenu autolist; setopt bashautolist"],
}
failed = False


def complain(text):
    global failed
    failed = True
    print(f"{SHELL}: {text}")


class Terminal:
    """A shell that sits on a terminal of its own."""

    def __init__(self):
        command = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i", "-o", "nopromptsp", "-o", "nopromptcr"]}[SHELL]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="dumb", PS1=PROMPT, PROMPT=PROMPT, COLUMNS="200", LINES="500",
                              PATH=os.path.dirname(COMMAND) + ":" + os.environ["PATH"])
            os.execvp(command[0], command)
        self.until(PROMPT)
        for line in SETUP[SHELL] + ["stty cols 200 rows 500"]:
            self.type(line + "\n")
            self.until("\n" + PROMPT)

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, end, seconds=PATIENCE_S):
        said, limit = "", time.monotonic() + seconds
        while not said.endswith(end):
            if time.monotonic() > limit or not select.select([self.fd], [], [], max(0, limit - time.monotonic()))[0]:
                sys.exit(f"{SHELL} does not answer; it has said: {said[-2000:]}")
            said += re.sub(r"\x1b\[[\d;?]*[a-zA-Z]|\r|\x07", "", os.read(self.fd, 65536).decode())
        return said

    def offer(self, line):
        """What is offered after LINE, and the line as it has become by that."""
        self.type(line + "\t\t")
        quiet, said = 0, ""
        limit = time.monotonic() + PATIENCE_S
        while quiet < 3 and time.monotonic() < limit: # nobody says when a completion is over
            if select.select([self.fd], [], [], 0.4)[0]:
                said, quiet = said + os.read(self.fd, 65536).decode(), 0
            else:
                quiet += 1
        self.type("\x15\n") # removes the line
        self.until("\n" + PROMPT)
        return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]|\r|\x07|\x08", "", said)


def compare(what, wanted, offered):
    for word in sorted(wanted - offered):
        complain(f"{what}: '{word}' is not offered")
    for word in sorted(offered - wanted):
        complain(f"{what}: '{word}' is offered, and is none")


def options(text):
    return set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*|-[a-zA-Z])(?![\w-])", text))


told = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
told = re.sub(r"^Usage:.*?\n\n", "", told, flags=re.S)
heads = " ".join(line[:27] for line in re.findall(r"^ {2,6}-.*", told, re.M))
known = options(" ".join(re.findall(r"^ {2,6}(-.*?)(?:  |$)", told, re.M)))
valued = set(re.findall(r"(--[a-z-]+)=", heads))
if len(known) < 20 or len(valued) < 10:
    complain("--help was not understood")

terminal = Terminal()
long_ones = {option for option in known if option.startswith("--")}
said = terminal.offer("vmcompact --").partition("vmcompact --")[2]
compare("options", long_ones, {option for option in options(re.sub(r"^(?:.*vmcompact.*|)$", "", said, flags=re.M)) if option.startswith("--")})
with_value = set(re.findall(r"(--[a-z-]+)=", said)) if SHELL == "bash" else valued
compare("options with a value", valued, with_value)
compare("short options", known - long_ones, {option for option in options(terminal.offer("vmcompact -")) if not option.startswith("--")})

for option, values in {"--method": "auto trim commit convert", "--progress": "auto always never", "--format": "qcow2 raw"}.items():
    said = terminal.offer(f"vmcompact {option}=")
    compare(f"values of {option}", set(values.split()), set(re.findall(r"[a-z0-9]+", said.partition("=")[2].replace("vmcompact " + option, ""))))

domains = set(subprocess.run(["virsh", "list", "--all", "--name"], capture_output=True, text=True, check=True).stdout.split())
if not domains:
    complain("there is no domain that could be offered")
compare("domains", domains, set(re.findall(r"[\w-]+", terminal.offer("vmcompact --verbose ").replace("vmcompact --verbose", "").replace(PROMPT, ""))))
sys.exit(failed)
