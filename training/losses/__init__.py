"""Losses: tensors in, a scalar out; none owns a model, none knows another."""
