#!/bin/sh
# Installs the client programs beside this file, exactly as the lock files pin them.
#
#   ./setup.sh                 everything
#   ./setup.sh python node     only these parts; the parts are: python frameworks litellm aider node agents
#
# A part that is already as its lock file says costs nothing. PYTHON names another interpreter (3.10 to 3.12).
# Exit code: 0 all installed, 1 something could not be, 2 a needed tool is missing.
set -eu
cd "$(dirname "$0")"

say() { printf 'clients: %s\n' "$*"; }
missing() { say "$*" >&2; exit 2; }

# Prints a word that changes when the lock file, this script or the tool's version does.
fingerprint() { { cat "$1" setup.sh; echo "$2"; } | cksum | tr ' ' -; }

done_already() { [ -e "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# virtualenv PART FOLDER REQUIREMENTS
virtualenv() {
    python=${PYTHON:-python3}
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
        missing "$python is not here; install Python 3.10 to 3.12"
    case $version in
    3.10 | 3.11 | 3.12) ;;
    *) missing "$python is $version; aider and some pins need 3.10 to 3.12 (set PYTHON)" ;;
    esac
    stamp=$2/.stamp
    print=$(fingerprint "$3" "$version")
    if done_already "$stamp" "$print"; then
        say "$1: up to date"
        return
    fi
    say "$1: installing $(grep -c == "$3") packages into $2"
    rm -rf "$2"
    "$python" -m venv "$2" || missing "$python has no venv module; install it (Debian: python3-venv)"
    "$2/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$3"
    echo "$print" >"$stamp"
}

# node_modules PART FOLDER
node_modules() {
    command -v npm >/dev/null 2>&1 || missing "npm is not here; install Node.js 20 or newer"
    version=$(node --version) || missing "node is not here; install Node.js 20 or newer"
    stamp=$2/node_modules/.stamp
    print=$(fingerprint "$2/package-lock.json" "$version")
    if done_already "$stamp" "$print"; then
        say "$1: up to date"
        return
    fi
    say "$1: installing packages into $2/node_modules"
    # The agents' own install scripts only link the programs that are there without them.
    (cd "$2" && npm ci --ignore-scripts --no-progress --loglevel=error)
    echo "$print" >"$stamp"
}

# Two test runs may start this at once; the second waits and then finds everything done.
if command -v flock >/dev/null 2>&1; then
    exec 9>.setup-lock
    flock 9
fi

[ $# -gt 0 ] || set -- python frameworks litellm aider node agents
for part in "$@"; do
    case $part in
    python) virtualenv python .venv requirements.txt ;;
    frameworks) virtualenv frameworks .venv-frameworks requirements-frameworks.txt ;;
    litellm) virtualenv litellm .venv-litellm requirements-litellm.txt ;;
    aider) virtualenv aider .venv-aider requirements-aider.txt ;;
    node) node_modules node . ;;
    agents) node_modules agents agents ;;
    *) missing "no such part: $part (python frameworks litellm aider node agents)" ;;
    esac
done
say "ready"
