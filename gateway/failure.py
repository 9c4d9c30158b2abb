"""What can be expected to go wrong in a command, for `cli.py` to tell in one sentence. Knows nothing else."""


class Failure(Exception):  # noqa: N818 - its message is what the operator reads
    """Something that can be expected went wrong; the message is one sentence."""
