#!/bin/sh
# The table "knowledge" of docs/log/knowledge.md: every arm on 40 passages, one passage an adapter, then all in one adapter.
# Resumable: run it again and it goes on. Two processes of one thread each, for two cores. DATA: JSON list of title,
# context, questions [, self_edits], such as SEAL's SQuAD passages.
# MODEL=FILE.gguf and ARMS="--arm base --arm context --arm default" for a trend on another model.
set -eu
DATA=${1:?usage: knowledge.sh DATA [OUT]}
OUT=${2:-runs/knowledge}
export SEAL_MODEL=${MODEL:-embedded}
ARMS=${ARMS:-}
export OMP_NUM_THREADS=1
for part in 1/2 2/2; do
    seal-agent bench knowledge --data "$DATA" --limit 40 --shard "$part" --out "$OUT" $ARMS &
done
wait
seal-agent bench knowledge --data "$DATA" --limit 40 --out "$OUT" --report
for part in 1/2 2/2; do
    seal-agent bench knowledge --data "$DATA" --limit 40 --shard "$part" --out "$OUT-together" --single-adapter \
        --arm base --arm context --arm default --arm "passage only" --arm "gpt-4.1's rows" &
done
wait
seal-agent bench knowledge --data "$DATA" --limit 40 --out "$OUT-together" --single-adapter --report
