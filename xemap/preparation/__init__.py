"""What runs before training: converters, XeMap-Set, synthetic scenes, expressions, reports on annotation files."""
