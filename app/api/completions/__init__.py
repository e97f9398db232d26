"""The surface of OpenAI's API: chat completions, models and embeddings, for the clients that people already have."""
