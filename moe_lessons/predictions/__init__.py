"""Predictions that are made: a question before a measurement, both side by side after it, and how well one guessed."""

from moe_lessons.predictions.asking import predict, predicted, predictions

__all__ = ["predict", "predicted", "predictions"]
