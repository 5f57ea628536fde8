#!/bin/sh
# The table "arc" of LOG.md: 20 small training tasks and those that SEAL filtered, the embedded model, two cores.
# Resumable: run it again and it goes on, the shortest tasks first. POLICY: an adapter of `seal-agent improve` for the
# arm "trained self-edit". On two cores the tasks of 1000 and more symbols take hours: MAX leaves them out.
set -eu
OUT=${1:-runs/arc}
POLICY=${2:-}
MAX=${MAX:-300}
export OMP_NUM_THREADS=1
for part in 1/2 2/2; do
    seal-agent bench arc --max-symbols "$MAX" --part "$part" --out "$OUT" ${POLICY:+--policy "$POLICY"} &
done
wait
seal-agent bench arc --max-symbols "$MAX" --out "$OUT" --report
