"""One module per revision of the schema, applied in the order that each names."""
