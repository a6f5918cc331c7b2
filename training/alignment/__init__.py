"""A checkpoint in closed form: what classifiers know of names, as a start or an end of training."""
