"""Attacks on a service of its own, on this machine: what each achieves, and what another user notices of it.

Everything goes to 127.0.0.1, and is limited in number and time. `python -m scripts.attack --help`.
"""
