#!/bin/sh
# The table "gate" of docs/log/retention.md: a simulation, no model; under two minutes on two cores.
set -eu
seal-agent bench gate --edits 2000 --seed 1
