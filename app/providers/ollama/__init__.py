"""Ollama: models on the operator's own machine."""
