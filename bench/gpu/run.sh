#!/bin/sh
# Jobs on a machine with a GPU, in three parts; not run on one yet.
#   sh bench/gpu/run.sh prepare [MODEL]   here: writes a job for each of METHODS into bench/gpu/work
#   sh bench/gpu/run.sh there   [MODEL]   there, under 8 minutes: runs them, then one step each of a 7B model of random weights.
#                                         Needs python3 with torch, transformers, safetensors; results go to $OUT
#   sh bench/gpu/run.sh back    [MODEL]   here, with $OUT brought back: takes the results in, and verifies
set -eu
part=${1:?prepare, there or back}
MODEL=${2:-assets/embedded/model}
METHODS=${METHODS:-rows adapter sft lora}
FLAGS=${FLAGS:---max-harm 12}
WORK=bench/gpu/work
PYTHON=${PYTHON:-python3}
export MODEL PYTHON

case $part in
prepare)
  for method in $METHODS; do
    npx tsx src/cli/main.ts fingerprint --model "$MODEL" --out "$WORK/$method" --method "$method" --seed "gpu $method" $FLAGS --launch torchrun --keep-job
  done
  ;;
there)
  : "${OUT:?a folder for the results}"
  MODEL=$(cd "$MODEL" && pwd)
  for method in $METHODS; do
    began=$(date +%s)
    timeout 100 sh "$WORK/$method/work/job/run.sh" > "$OUT/$method.log" 2>&1 && how=done || how="ended with $?"
    echo "{\"job\": \"$method\", \"how\": \"$how\", \"seconds\": $(($(date +%s) - began))}" | tee -a "$OUT/jobs.jsonl"
    mkdir -p "$OUT/$method" && cp -r "$WORK/$method/work/job/result" "$OUT/$method/" || true
  done
  timeout 270 "$PYTHON" bench/gpu/big.py > "$OUT/big.jsonl" 2> "$OUT/big.log" || echo "big.py ended with $?"
  cat "$OUT/big.jsonl"
  ;;
back)
  : "${OUT:?the folder of the results}"
  for method in $METHODS; do
    cp -r "$OUT/$method/result" "$WORK/$method/work/job/"
    # To all cells: publishing, every cell anew.
    npx tsx src/cli/main.ts resume "$WORK/$method/work/job" || { echo "$method was not taken in"; continue; }
    body=; [ "$method" = adapter ] && body="--body $MODEL"
    npx tsx src/cli/main.ts verify --secret "$WORK/$method/secret.whorl" --suspect "$WORK/$method/published" $body --json || true
  done
  ;;
esac
