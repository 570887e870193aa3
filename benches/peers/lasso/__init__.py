"""k-sparse and quadratic transport beside POT's and regot's."""
