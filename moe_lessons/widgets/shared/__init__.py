"""What several widgets share: their base, the boards, and the modules of their front ends."""
