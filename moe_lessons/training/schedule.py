"""How the learning rate moves through a run."""


def learning_rate_factor(progress: float, warmup: float, final: float = 0.0) -> float:
    """Share of the peak rate at a share `progress` of the run: a straight line up, then a straight line down.

    The line down reaches `final` at progress 1. A rate that ends at zero averages out the noise of the last
    steps, which is worth more than a rate that stays high (Bergsma et al., arXiv:2502.15938).

    >>> learning_rate_factor(0.05, warmup=0.1)
    0.5
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warmup:
        return progress / warmup
    if warmup >= 1:
        return 1.0
    return 1.0 - (1.0 - final) * (progress - warmup) / (1.0 - warmup)
