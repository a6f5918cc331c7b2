"""Tests of model.backbones.pretrained."""
