#!/bin/sh
# The table "serving" of docs/log/serving.md: 1,000 requests of 16 clients during 20 swaps, throughput with 0, 1 and 4 namespaces,
# kill -9 in the middle. SEAL_VLLM_PYTHON: a Python that has vLLM, see `make test-vllm`.
set -eu
: "${SEAL_VLLM_PYTHON:?set it to the Python of an environment that has vLLM}"
python examples/serving_load.py --requests 1000 --swaps 20 --tokens 8 "$@"
