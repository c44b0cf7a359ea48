#!/usr/bin/env bash
# Runs a command inside the project's Python environment, making the environment first if needed.
#
#   bash tools/with_env.sh python tools/train.py CONFIG
#
# The environment lies outside the checkout and is keyed by the requirement files and the Python
# version: a second clone reuses it, a changed requirement makes a new one.
#   XEMAP_ENV_ROOT  where environments are kept   (default: ${XDG_CACHE_HOME:-~/.cache}/xemap)
#   XEMAP_PYTHON    the interpreter to build with (default: python3; 3.10 to 3.12)
#   XEMAP_ENV       an existing environment to use as it is; nothing is installed
set -euo pipefail

if [ $# -eq 0 ] || [ "$1" = "-h" ] || [ "$1" = "--help" ]; then
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit $(( $# == 0 ? 2 : 0 ))
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ -n "${XEMAP_ENV:-}" ]; then
    env_dir=$XEMAP_ENV
else
    python=${XEMAP_PYTHON:-python3}
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    case $version in
        3.10|3.11|3.12) ;;
        *) echo "with_env.sh: $python is Python $version; xemap needs 3.10 to 3.12. Set XEMAP_PYTHON." >&2; exit 2 ;;
    esac
    files=("$root/requirements.txt" "$root/requirements-dev.txt" "$root/constraints.txt")
    key=$( (echo "$version"; cat "${files[@]}") | sha256sum | cut -c1-12)
    env_root=${XEMAP_ENV_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/xemap}
    env_dir=$env_root/env-$key
    if [ ! -e "$env_dir/.complete" ]; then
        mkdir -p "$env_root"
        (
            flock 9  # two commands started at once must not build the same environment
            if [ ! -e "$env_dir/.complete" ]; then
                echo "with_env.sh: making the environment $env_dir (a few minutes, once)" >&2
                "$python" -m venv --clear "$env_dir"
                "$env_dir/bin/python" -m pip install --disable-pip-version-check --progress-bar off \
                    -r "$root/requirements.txt" -r "$root/requirements-dev.txt" -c "$root/constraints.txt" >&2
                touch "$env_dir/.complete"
            fi
        ) 9>"$env_root/lock-$key"
    fi
fi

export PATH="$env_dir/bin:$PATH" VIRTUAL_ENV="$env_dir"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
# Threads that wait by spinning slow training down tenfold as soon as anything else runs on the machine.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
exec "$@"
