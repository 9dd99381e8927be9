"""The one place that decides where tensors live."""

import warnings

import torch


def choose_device(request: str | None = None) -> torch.device:
    """CUDA where there is one, else the CPU; Apple's `mps` only on request, with a warning.

    Raises ValueError when the requested device is not there.
    """
    if request is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(request)
    except RuntimeError:
        raise ValueError(f"device is {request!r}, but must be 'cpu', 'cuda' or 'mps'") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device is {request!r}, but torch {torch.__version__} sees no CUDA GPU here; "
            "leave the device out to use the CPU"
        )
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise ValueError(f"device is {request!r}, but there are only {torch.cuda.device_count()} GPUs, from cuda:0")
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError("device is 'mps', but this machine has no Apple GPU; leave the device out")
        warnings.warn("mps is untested by this course: results may differ from the CPU's", stacklevel=2)
    if device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device is {request!r}, but must be 'cpu', 'cuda' or 'mps'")
    return device
