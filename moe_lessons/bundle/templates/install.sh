#!/bin/sh
# Install the course from this folder, without network: sh install.sh [FOLDER]
here=$(cd "$(dirname "$0")" && pwd)
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$python" "$here/install.py" --fits 2>/dev/null; then
        exec "$python" "$here/install.py" "$@"
    fi
done
exec "${PYTHON:-python3}" "$here/install.py" "$@" # which says what it lacks
