#!/bin/sh
# Runs this job on one machine, or on each of several: it goes on from its last checkpoint. What it takes is in launch.env;
# the environment goes before it (MODEL, NPROC, NNODES, NODE_RANK, ENDPOINT, PYTHON, AGE_IDENTITY).
set -eu
cd "$(dirname "$0")"
umask 077
while IFS= read -r line; do
  key=${line%%=*} value=${line#*=}
  eval "[ -n \"\${$key:-}\" ] || export $key=\"\$value\""
done < launch.env
export MODEL TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
rm -f result/failed-*.json
if [ "$NNODES" -gt 1 ]; then
  set -- --nnodes "$NNODES" --node-rank "${NODE_RANK:?set NODE_RANK to the number of this machine, from 0}" \
    --rdzv-backend c10d --rdzv-id whorl --rdzv-endpoint "${ENDPOINT:?set ENDPOINT to HOST:PORT of machine 0}"
else
  set -- --nnodes 1 --rdzv-backend c10d --rdzv-endpoint 127.0.0.1:0 --local-addr 127.0.0.1
fi
exec "${PYTHON:-python3}" -m torch.distributed.run "$@" --nproc-per-node "$NPROC" train.py
