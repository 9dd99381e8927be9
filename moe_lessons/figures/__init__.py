"""Still pictures: arrays and traces in, matplotlib figures out; never a model, never pyplot."""
