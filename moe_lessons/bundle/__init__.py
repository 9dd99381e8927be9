"""One folder from which a room without network installs the course: wheels, an installer, and checksums."""

from moe_lessons.bundle.folder import make_bundle
from moe_lessons.bundle.targets import PLATFORMS, Target, this_platform

__all__ = ["PLATFORMS", "Target", "make_bundle", "this_platform"]
