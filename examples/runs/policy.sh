#!/bin/sh
# The tables "policy" of docs/log/policy.md: the selector on SEAL's own rewards (seconds), then two rounds with the embedded model.
# Resumable: run it again and it goes on. REWARDS: SEAL's edits with three seeds each; DATA as for knowledge.sh.
set -eu
REWARDS=${1:?usage: policy.sh REWARDS DATA [OUT]}
DATA=${2:?usage: policy.sh REWARDS DATA [OUT]}
OUT=${3:-runs/policy}
seal-agent bench selection --rewards "$REWARDS" --out "$OUT-selector"
seal-agent bench policy --data "$DATA" --limit 60 --explore 40 --candidates 2 --rounds 2 --fast --minutes 90 --out "$OUT"
