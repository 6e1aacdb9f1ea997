"""Runs a command line client: empty surroundings, a limit in time, nothing left behind."""

import os
import pathlib
import signal
import subprocess
import sys

LIMIT_S = 28.0


def beside_python(name):
    """The program that the interpreter's own environment installed, whatever `PATH` says."""
    return str(pathlib.Path(sys.executable).parent / name)


def surroundings(home, **variables):
    """The few variables a program needs, and those given; `home` is its scratch home."""
    return {
        "HOME": str(home),
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "TERM": "dumb",
        **variables,
    }


def start(arguments, variables, cwd):
    """Starts the program with pipes, in a process group of its own."""
    return subprocess.Popen(
        arguments,
        cwd=cwd,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stop(process, sign=signal.SIGKILL):
    """Sends a signal to the whole group of a program that `start` started."""
    try:
        os.killpg(process.pid, sign)
    except ProcessLookupError:
        pass


def run(arguments, variables, cwd, limit_s=LIMIT_S):
    """Runs the program to its end; returns exit code, stdout and stderr. `AssertionError` if it takes too long."""
    process = start(arguments, variables, cwd)
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        stop(process)
        out, err = process.communicate()
        raise AssertionError(f"no end within {limit_s:.0f} s; it said: {(out + err)[-400:]!r}") from None
    return process.returncode, out, err
