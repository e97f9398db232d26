"""Documents into passages and vectors, and questions into the passages that answer them."""
