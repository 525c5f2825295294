"""Live feedback: the index of whoever stands before the camera, while they move."""
