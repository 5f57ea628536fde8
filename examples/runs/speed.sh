#!/bin/sh
# What learning costs: SEAL's loop as published, without padding, ours; K candidates at once; many adapters; loading.
# About an hour on one core with the embedded model (and --shared, where the machine has other work); minutes on a GPU.
# Run it again after a stop: it goes on where it was. The same for random weights of 1B, on a GPU: the second line.
set -eu
seal-agent bench speed --rounds 5 "$@"
# seal-agent bench speed --rounds 5 --random 1b --device cuda
