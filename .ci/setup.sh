#!/bin/sh
# Make the project's own environment, .venv, with the versions of constraints.txt.
#   sh .ci/setup.sh            what the lessons need
#   sh .ci/setup.sh test       and what the tests need, the site's builder with it
# PYTHON names another interpreter, TORCH_INDEX another place for PyTorch ("pypi": no other place).
set -eu
cd "$(dirname "$0")/.."
extra=${1:-}
log=.venv/install.log

say() { printf '%s\n' "$*"; }
refuse() {
    say "moe-lessons: $*" >&2
    exit 1
}
supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }

if [ -e .venv ] && ! supported .venv/bin/python; then
    [ -e .venv/pyvenv.cfg ] || refuse ".venv is in the way and no Python environment; move it elsewhere."
    say "The environment in .venv no longer works here; making it again."
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    python=
    for candidate in ${PYTHON:-python3 python3.12 python3.13 python3.14 python3.11}; do
        if supported "$candidate"; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        found=$("${PYTHON:-python3}" -c 'import platform; print(platform.python_version())' 2>/dev/null || true)
        refuse "Python 3.11 to 3.14 is needed and ${found:-none} was found;" \
            "install one (on Debian: apt-get install python3) or name it: make lab PYTHON=/path/to/python3.12"
    fi
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        refuse "this Python cannot make environments; on Debian: apt-get install python$version-venv"
    say "[1/3] Making the environment .venv with Python $version"
    "$python" -m venv .venv || { rm -rf .venv; refuse "no environment could be made in $PWD/.venv; is the disk full?"; }
fi

# Without a GPU of NVIDIA's, the CPU build of PyTorch spares a Linux user some gigabytes.
cpu_index=https://download.pytorch.org/whl/cpu
reachable() {
    .venv/bin/python - "$1" <<'END' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(sys.argv[1] + "/torch/", timeout=5).close()
END
}
index=${TORCH_INDEX:-}
if [ -z "$index" ] && [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1 && reachable $cpu_index; then
    index=$cpu_index
fi
case $index in "" | pypi) index= ;; esac

say "[2/3] Installing PyTorch and JupyterLab; the first time this takes a few minutes (log: $log)"
.venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
    -c constraints.txt ${index:+--extra-index-url "$index"} -e ".[interop${extra:+,site,$extra}]" >"$log" 2>&1 &
pip=$!
trap 'kill $pip 2>/dev/null; say; refuse "stopped; the same command goes on where it was."' INT TERM
seconds=0
while kill -0 $pip 2>/dev/null; do
    if [ -t 1 ]; then
        now=$(sed -n 's/^ *\(Collecting\|Downloading\|Installing collected\) \([^ ]*\).*/\1 \2/p' "$log" | tail -n 1 | cut -c1-60)
        printf '\r      %3d s  %s\033[K' $seconds "$now"
    fi
    sleep 1
    seconds=$((seconds + 1))
done
[ ! -t 1 ] || printf '\r\033[K'
trap - INT TERM
if ! wait $pip; then
    grep -v -e "^WARNING: Location 'file:" -e '^Requirement already' -e '^Collecting' -e '^  ' "$log" | tail -n 15 >&2
    refuse "the installation failed; its last words are above, all of them in $log."
fi

# What builds and checks the widgets' JavaScript; what it builds is in the repository, so no machine must have it.
if [ "$extra" = test ] && [ -e package-lock.json ]; then
    if ! command -v npm >/dev/null 2>&1; then
        say "      There is no npm here, so the widgets' JavaScript is neither checked nor built anew."
    elif ! npm ci --loglevel=error --fetch-retries=1 >>"$log" 2>&1; then
        say "      npm ci failed (see $log), so the widgets' JavaScript is neither checked nor built anew."
    fi
fi

say "[3/3] Ready after $seconds s."
