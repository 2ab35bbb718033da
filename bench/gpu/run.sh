#!/bin/sh
# Jobs on a machine with a GPU, in three parts; not run on one yet.
#   sh bench/gpu/run.sh prepare [MODEL]   here: writes a job for each of METHODS into bench/gpu/work, which holds their keys
#   sh bench/gpu/run.sh there   [MODEL]   there, under 8 minutes: runs them, then one step each of a 7B model of random weights.
#                                         Needs bench/gpu/work, assets/launch, and python3 with torch, transformers, safetensors;
#                                         results go to $OUT. What was not done in time goes on where it is called again
#   sh bench/gpu/run.sh back    [MODEL]   here, with $OUT brought back: takes the results in, and verifies
# MODEL: a folder; there it may be another copy of it. Of a GGUF it is the one that the job's launch.env names.
set -eu
part=${1:?prepare, there or back}
MODEL=${2:-assets/embedded/model}
METHODS=${METHODS:-rows adapter sft lora}
FLAGS=${FLAGS:---max-harm 12}
WORK=bench/gpu/work
PYTHON=${PYTHON:-python3}
JOB_SECONDS=${JOB_SECONDS:-70} # of each; what is left of TOTAL is big.py's
TOTAL=${TOTAL:-460}
export MODEL PYTHON

case $part in
prepare)
  for method in $METHODS; do
    npx tsx src/cli/main.ts fingerprint --model "$MODEL" --out "$WORK/$method" --method "$method" --seed "gpu $method" $FLAGS --launch torchrun --keep-job
  done
  ;;
there)
  : "${OUT:?a folder for the results}"
  mkdir -p "$OUT"
  MODEL=$(cd "$MODEL" && pwd)
  start=$(date +%s)
  for method in $METHODS; do
    began=$(date +%s)
    # -k: what a job keeps of itself when it is asked to end may take longer than there is time.
    timeout -k 10 "$JOB_SECONDS" sh "$WORK/$method/work/job/run.sh" > "$OUT/$method.log" 2>&1 && how=done || how="ended with $?"
    echo "{\"job\": \"$method\", \"how\": \"$how\", \"seconds\": $(($(date +%s) - began))}" | tee -a "$OUT/jobs.jsonl"
    mkdir -p "$OUT/$method" && cp -r "$WORK/$method/work/job/result" "$OUT/$method/" || true
  done
  timeout -k 10 $((TOTAL - $(date +%s) + start)) "$PYTHON" bench/gpu/big.py > "$OUT/big.jsonl" 2> "$OUT/big.log" || echo "big.py ended with $?"
  cat "$OUT/big.jsonl"
  ;;
back)
  : "${OUT:?the folder of the results}"
  for method in $METHODS; do
    if [ ! -e "$WORK/$method/published" ]; then
      cp -r "$OUT/$method/result" "$WORK/$method/work/job/"
      # To all cells: publishing, every cell anew.
      npx tsx src/cli/main.ts resume "$WORK/$method/work/job" && [ -e "$WORK/$method/published" ] || { echo "$method was not taken in"; continue; }
    fi
    body=; [ "$method" = adapter ] && body="--body $MODEL"
    npx tsx src/cli/main.ts verify --secret "$WORK/$method/secret.whorl" --suspect "$WORK/$method/published" $body --json || true
  done
  ;;
esac
