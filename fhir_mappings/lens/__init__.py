"""The toolkit that mappings are declared with: fields that can be read and written."""
