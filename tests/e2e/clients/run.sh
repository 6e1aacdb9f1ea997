#!/bin/sh
# Runs one client script with the interpreter it was installed for: ./run.sh NAME [CASE | -CASE]...
# NAME is a line of clients.txt; what the script reads and prints is in README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=${1:?usage: run.sh NAME [CASE | -CASE]...}
shift
script=$(awk -v name="$name" '$1 == name { print $2 }' "$here/clients.txt")
part=$(awk -v name="$name" '$1 == name { print $3 }' "$here/clients.txt")
case $part in
python) exec "$here/.venv/bin/python" "$here/$script" "$@" ;;
frameworks | litellm | aider) exec "$here/.venv-$part/bin/python" "$here/$script" "$@" ;;
node) exec node "$here/$script" "$@" ;;
*)
    echo "run.sh: no such client: $name" >&2
    exit 2
    ;;
esac
