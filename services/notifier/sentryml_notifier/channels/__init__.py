"""Kinds of channels: each translates a neutral message and sends it once. Retrying is not a channel's business."""
