#!/bin/sh
# The table "arc" of docs/log/arc.md: 20 small training tasks and those that SEAL filtered, the embedded model, two cores; then
# ReST-EM on 32 other small tasks, and the arm "trained self-edit".
# Resumable: run it again and it goes on, the shortest tasks first. On two cores the tasks of 1000 and more symbols take
# hours: MAX leaves them out.
set -eu
OUT=${1:-runs/arc}
MAX=${MAX:-300}
for part in 1/2 2/2; do
    OMP_NUM_THREADS=1 seal-agent bench arc --max-symbols "$MAX" --shard "$part" --out "$OUT" &
done
wait
seal-agent bench arc --max-symbols "$MAX" --out "$OUT" --arm "trained self-edit" --improve 32 --candidates 3 --rounds 1
seal-agent bench arc --max-symbols "$MAX" --out "$OUT" --report
