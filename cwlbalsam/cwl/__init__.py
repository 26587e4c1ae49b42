"""What a worker needs of CWL: records, expressions, binding, staging, collection."""
