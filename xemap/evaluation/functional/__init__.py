"""Pure functions that score answers; numpy and OpenCV only."""
