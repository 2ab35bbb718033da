#!/bin/sh
# Asks what this job asks, on this machine; what it takes is in launch.env, and the environment goes before it (MODEL, PYTHON,
# AGE_IDENTITY). It goes on where it was stopped.
set -eu
cd "$(dirname "$0")"
umask 077
while IFS= read -r line; do
  key=${line%%=*} value=${line#*=}
  eval "[ -n \"\${$key:-}\" ] || export $key=\"\$value\""
done < launch.env
export MODEL TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
rm -f result/failed-*.json
exec "${PYTHON:-python3}" ask.py
