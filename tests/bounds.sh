#!/usr/bin/env bash
# The fast tests in an environment of their own with the lower bounds of pyproject.toml, or with the newest releases:
#   tests/bounds.sh lowest-direct FOLDER [pytest's arguments]
#   tests/bounds.sh highest FOLDER [pytest's arguments]
# FOLDER/versions.txt says which versions ran. UV_FIND_LINKS or UV_INDEX name other sources of packages.
set -euo pipefail
how=$1 folder=$2
shift 2
cd "$(dirname "$0")/.."
if ! [ -f "$folder/versions.txt" ]; then
    "${PYTHON:-python3}" -m venv "$folder"
    "$folder/bin/python" -m pip --disable-pip-version-check install -q uv
    grep -E '^torch==' constraints.txt >"$folder/torch.txt" # any other request may fetch a CUDA build
    "$folder/bin/uv" pip install -q --python "$folder/bin/python" --resolution "$how" --constraint "$folder/torch.txt" \
        -e '.[demo,dev,train,translate,report,api,slurm]'
    "$folder/bin/uv" pip freeze --python "$folder/bin/python" >"$folder/versions.txt"
fi
HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false "$folder/bin/python" -m pytest -m "not slow" --benchmark-skip "$@"
