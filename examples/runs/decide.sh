#!/bin/sh
# The table "deciding" of docs/log/deciding.md: reads 5,061 labelled turns (about 13 minutes on two cores), fits the heads from scratch,
# and reports the deployed rule on the turns that chose nothing. Resumable.
set -eu
seal-agent bench decide --out "${1:-runs/decide}"
