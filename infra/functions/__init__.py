"""Code of the Lambda functions, with the standard library and boto3 only; infra/deploy packs it."""
