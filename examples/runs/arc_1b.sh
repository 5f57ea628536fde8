#!/bin/sh
# ARC with a model of about 1B parameters on one GPU: SEAL's size, all of its tasks, and 80 training tasks of at most 400 symbols.
# Resumable: run it again and it goes on. MODEL: a folder or a Hugging Face name whose
# tokenizer splits digits, such as HuggingFaceTB/SmolLM2-1.7B-Instruct or Qwen/Qwen2.5-1.5B-Instruct (SEAL's own
# Llama-3.2-1B-Instruct is gated, and joins digits). ReST-EM on 40 other tasks gives the arm "trained self-edit". What it
# costs is printed first; `arc_1b.sh --estimate` prints nothing else.
set -eu
MODEL=${1:?usage: arc_1b.sh MODEL|--estimate [OUT]}
OUT=${2:-runs/arc-1b}
ROWS=128 EASY=80 SYMBOLS=400 IMPROVE=40

estimate() {
    python - "$ROWS" "$EASY" "$SYMBOLS" "$IMPROVE" <<'END'
import sys
from seal_agent.bench.arc.tasks import load
from seal_agent.bench.arc.policy import practice_tasks
from seal_agent.bench.arc.bench import chosen_tasks

rows, easy, symbols, improve = map(int, sys.argv[1:])
training, evaluation = load()
chosen = chosen_tasks(training, evaluation, num_easy=easy, easy_symbols=symbols).values()
tasks = [t for each in chosen for t in each]
practised = sum(t.num_symbols for t in practice_tasks(training.values(), chosen, improve)) / improve
arms, epochs = 3, 1.5  # fixed: one epoch, self-edits: one to three
seen = sum(rows * epochs * arms * min(t.num_symbols, 2048) for t in tasks)
# Two rounds: half of the tasks with 4 candidates and 2 seeds, of which half see the second; two policies at the gate.
seen += 2 * rows * epochs * practised * (improve / 2 * (4 + 2) + improve / 4 * 2)
print(f"{len(tasks)} tasks, {seen / 1e6:.1f} million training tokens in {arms} arms and two rounds of ReST-EM")
CPU = 480  # tokens a second, measured: 135M parameters, bfloat16, LoRA on the upper half, one core of an AMD EPYC
print(f"one core, as measured with 135M parameters, times 1.24B / 135M: {seen / CPU * 1.24e9 / 135e6 / 86400:.0f} days")
FLOPS = 1.24e9 * 2 * 1.5  # a token: forward, and backward to the activations of the upper half; the weights are frozen
for share in (0.05, 0.2):  # of an H100's 989 TFLOP/s in bfloat16; short sequences do not fill it
    print(f"an H100 at {share:.0%} of its peak: {seen * FLOPS / (989e12 * share) / 60:.0f} minutes of training")
steps = len(tasks) * (arms + 1) * 150  # greedy steps, all voters of a grid in one batch; an answer has 10 to 400 cells
print(f"and {steps * 0.03 / 60:.0f} minutes of answering at 30 ms a step")
END
}

estimate
[ "$MODEL" = --estimate ] && exit 0
seal-agent bench arc --model "$MODEL" --device cuda --easy "$EASY" --easy-symbols "$SYMBOLS" \
    --rows "$ROWS" --out "$OUT" --improve "$IMPROVE"
