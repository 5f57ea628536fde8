"""Tests of a whole data directory under kills, damaged bytes and poisoned texts: `seal-agent soak`.

Worker processes share one directory and are killed in turn (`soak`, `workload`, `fork_server`), bytes on disk are
changed (`bit_flips`), and false or hostile texts are learned (`injection`). It finds faults and repairs none.
May import every room but `cli`.
"""
