"""Numbers as a picture writes them: few digits and a unit."""


def brief(count: float, units: str = "kMBT") -> str:
    """A count in three digits with its unit: 1234567 is "1.23 M"; for FLOPs, `units` is "kMGT"."""
    power = 0
    while count >= 999.5 and power < len(units):
        count, power = count / 1000, power + 1
    if power == 0:
        return f"{count:.0f}"
    return f"{count:.{2 if count < 9.995 else 1 if count < 99.95 else 0}f} {units[power - 1]}"
