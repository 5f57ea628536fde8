#!/bin/sh
# The tables "continual" of docs/log/continual.md: 8 sequences of 8 edits, every arm; then two orders of all passages.
# Resumable: run it again and it goes on. Two processes of one thread each, for two cores. DATA as for knowledge.sh.
set -eu
DATA=${1:?usage: continual.sh DATA [OUT]}
OUT=${2:-runs/continual}
export OMP_NUM_THREADS=1
for part in 1/2 2/2; do
    seal-agent bench continual --data "$DATA" --limit 60 --sequences 8 --length 8 --shard "$part" --out "$OUT-8" &
done
wait
for part in 1/2 2/2; do
    seal-agent bench continual --data "$DATA" --sequences 2 --length 87 --shard "$part" --out "$OUT-87" \
        --checkpoint 8 --checkpoint 25 --checkpoint 50 --arm route --arm stack --arm merge \
        --arm "nothing learned" --arm "passage by retrieval" &
done
wait
seal-agent bench continual --data "$DATA" --limit 60 --sequences 8 --length 8 --out "$OUT-8" --report
seal-agent bench continual --data "$DATA" --sequences 2 --length 87 --out "$OUT-87" --report \
    --checkpoint 8 --checkpoint 25 --checkpoint 50
