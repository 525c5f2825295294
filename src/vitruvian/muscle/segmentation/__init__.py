"""Learned segmentation: a small U-Net that tells where the muscle lies in a frame."""
