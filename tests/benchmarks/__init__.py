"""How fast the house is, as ratios to what a user would otherwise take.

    python -m tests.benchmarks                  # all of them, a quarter of an hour on two cores
    python -m tests.benchmarks loader startup   # some
    python -m tests.benchmarks --quick          # fewer repetitions

Each module here measures one thing and has `run(scale, folder)`, which yields rows of the table:

- `loader`: training crops, from files to tensors, against MONAI's cached data sets;
- `step`: a training step, against eager float32 in PyTorch's default memory order;
- `startup`: time until the command line answers, against a script that imports everything first;
- `reading`: one random crop, from the store and from the NIfTI file;
- `surfaces`: surface distances of one case, against MONAI's metrics.

The two sides of a row do the same work and take turns (`harness.side_by_side`), so that a machine
that is busy with something else slows both; what counts is the median of the pairwise ratios. The
data are simulated scans with the dimensions of LiTS, kept in a temporary folder between runs.
docs/benchmarks.md has the table of one machine.
"""
