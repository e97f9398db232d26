"""Tests of the migrations: who may do what, and what the turn functions promise."""
